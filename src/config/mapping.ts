/** Mappings of keys, as YAML and JSON give them. */

/** Keys and their values, as they came from a file. */
export type Mapping = Record<string, unknown>;

/** Whether a value is a mapping of keys, and no list. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
