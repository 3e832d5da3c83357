/** Flags that stand for one key of a configuration each, as overrides of it. */

import type { ConfigOverride } from "../config/source.ts";

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
