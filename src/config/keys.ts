/** The keys that a training configuration may have, read off its schema, and the one that a mistyped key is nearest to. */

import { z } from "zod";
import { nearestWord } from "../base/nearest-word.ts";
import { trainingConfigSchema } from "./schema/schema.ts";

export { nearestWord } from "../base/nearest-word.ts";

type JsonSchema = z.core.JSONSchema._JSONSchema;

/** The schema of the configuration file as JSON Schema, for editors that complete and check YAML. */
export function trainingConfigJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(trainingConfigSchema, { io: "input" });
}

function propertiesOf(schema: JsonSchema): Record<string, JsonSchema> {
  if (typeof schema === "boolean") return {};
  // The keys of a list's items are known by the list's path.
  if (typeof schema.items === "object" && !Array.isArray(schema.items)) return propertiesOf(schema.items);
  return schema.properties ?? schema.anyOf?.map(propertiesOf).find((found) => Object.keys(found).length > 0) ?? {};
}

function collectKeys(schema: JsonSchema, prefix: string, into: Map<string, string[]>): Map<string, string[]> {
  const properties = Object.entries(propertiesOf(schema));
  const names = properties.map(([name]) => name);
  into.set(prefix, names);
  for (const [name, child] of properties) collectKeys(child, prefix === "" ? name : `${prefix}.${name}`, into);
  return into;
}

let keysByParent: ReadonlyMap<string, readonly string[]> | undefined;

/** The keys below a dotted path (`""` for the top), or an empty list when the path is a value or unknown. */
export function knownKeys(path: string): readonly string[] {
  keysByParent ??= collectKeys(trainingConfigJsonSchema(), "", new Map());
  return keysByParent.get(path.replaceAll(/\.\d+(?=\.|$)/g, "")) ?? [];
}

/** Whether a dotted path leads to a key of the schema. */
export function isKnownKey(path: string): boolean {
  const cut = path.lastIndexOf(".");
  return knownKeys(path.slice(0, Math.max(cut, 0))).includes(path.slice(cut + 1));
}

/** Returns the remedy for an unknown key: a did-you-mean suggestion, or the known keys. */
export function adviceForUnknownKey(parent: string, key: string): string {
  const here = knownKeys(parent);
  const join = (name: string, child: string) => (name === "" ? child : `${name}.${child}`);
  const sibling = nearestWord(key, here);
  // A key written one level too high or too low is as common as a typing mistake, and an exact name is the better guess.
  const elsewhere = [...(keysByParent ?? [])].flatMap(([name, keys]) => (keys.includes(key) ? [join(name, key)] : []));
  const suggestion = elsewhere[0] ?? (sibling === undefined ? undefined : join(parent, sibling));
  if (suggestion !== undefined) return `Did you mean ${suggestion}?`;
  return here.length === 0 ? `${parent} holds a value, not keys.` : `Known keys here: ${here.join(", ")}.`;
}
