/** Object literals without the fields that are undefined. */

/** The fields that are there: those that may be undefined are optional. */
export type Defined<Fields> = {
  [Key in keyof Fields as undefined extends Fields[Key] ? never : Key]: Fields[Key];
} & {
  [Key in keyof Fields as undefined extends Fields[Key] ? Key : never]?: Exclude<Fields[Key], undefined>;
};

/**
 * Copies the fields that are not undefined, in their order: an optional property is either absent or has a value.
 *
 * @example { path, ...defined({ signal, limit }) }
 */
export function defined<Fields extends object>(fields: Fields): Defined<Fields>;
export function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
