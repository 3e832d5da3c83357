/** Flags that stand for one key of a configuration each, as overrides of it. */

import { resolve } from "node:path";
import { withResolvedPaths } from "../config/path-keys.ts";
import { type ConfigOverride, parseSetOption } from "../config/source.ts";
import { ConfigError } from "../errors.ts";

/** Flags of one kind: their property among the flags, how they are written, and their key in the configuration. */
type FlagTable = readonly (readonly [flag: string, written: string, path: string])[];

/** The texts of a table's flags; absent where a flag was not given. */
export type FlagTexts<Table extends FlagTable> = { readonly [Flag in Table[number][0]]?: string };

/** The overrides that the flags of a table ask for, in its order; each keeps the flag as it was written. */
export function flagOverrides<Table extends FlagTable>(
  flags: FlagTexts<Table>,
  table: Table,
  parse: (text: string) => unknown,
): ConfigOverride[] {
  const texts: Readonly<Record<string, string | undefined>> = flags;
  return table.flatMap(([flag, written, path]) => {
    const text = texts[flag];
    return text === undefined ? [] : [{ path, value: parse(text), origin: `${written} ${text}` }];
  });
}

/** The overrides of `--set`; relative paths resolve against the working folder. @throws ConfigError for `plugins`. */
export function setOverrides(texts: readonly string[] = []): ConfigOverride[] {
  return texts.map((text) => {
    const override = parseSetOption(text);
    if (override.path.split(".")[0] === "plugins") throw setPlugins(override);
    return withResolvedPaths(override, (given) => resolve(given));
  });
}

/** Plugins bring the presets and operators that a configuration is checked with: they are loaded before it is read. */
function setPlugins({ value, origin }: ConfigOverride): ConfigError {
  const files = [value].flat().filter((file) => typeof file === "string");
  return new ConfigError("plugins cannot be set in this way: they are loaded before a configuration is read", {
    where: origin,
    remedy: `Give ${files.length === 0 ? "--plugin FILE" : files.map((file) => `--plugin ${file}`).join(" ")}.`,
  });
}

/** Returns a note for each override that a later one replaces by another value. */
export function notesOnReplaced(overrides: readonly ConfigOverride[]): string[] {
  return overrides.flatMap(({ path, value, origin }, index) => {
    const later = overrides
      .slice(index + 1)
      .findLast((other) => other.path === path || path.startsWith(`${other.path}.`));
    const isSame = later?.path === path && JSON.stringify(later.value) === JSON.stringify(value);
    if (later === undefined || isSame || later.origin === origin) return [];
    return [`${origin} has no effect: ${later.origin} comes after it`];
  });
}
