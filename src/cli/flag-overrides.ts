/** Flags that stand for one key of a configuration each, as overrides of it. */

import { resolve } from "node:path";
import { withResolvedPaths } from "../config/path-keys.ts";
import { type ConfigOverride, parseSetOption } from "../config/source.ts";

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

/** The overrides of `--set`; relative paths resolve against the working folder. */
export function setOverrides(texts: readonly string[] = []): ConfigOverride[] {
  return texts.map((text) => withResolvedPaths(parseSetOption(text), (given) => resolve(given)));
}
