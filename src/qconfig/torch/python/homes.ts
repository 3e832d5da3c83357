/** The scope that a name is assigned in, and changes of lists and dicts that several names hold. */
import type { NameTable, TorchValue } from "../values.ts";

/** Names that `global` and `nonlocal` give to an outer scope. */
export class Homes {
  readonly #outer = new WeakMap<NameTable, Map<string, NameTable>>();

  declare(scopes: readonly NameTable[], name: string, isGlobal: boolean): void {
    const own = this.#innermost(scopes);
    const outer = isGlobal ? scopes[0] : scopes.slice(0, -1).findLast((scope) => scope.has(name));
    if (outer === undefined || outer === own) return;
    const names = this.#outer.get(own) ?? new Map<string, NameTable>();
    this.#outer.set(own, names.set(name, outer));
  }

  of(scopes: readonly NameTable[], name: string): NameTable {
    const own = this.#innermost(scopes);
    return this.#outer.get(own)?.get(name) ?? own;
  }

  #innermost(scopes: readonly NameTable[]): NameTable {
    const own = scopes.at(-1);
    if (own === undefined) throw new Error("there is always a scope");
    return own;
  }
}

/** How a replacement is written, and counted. */
export interface TableWriter {
  set(table: NameTable, name: string, value: TorchValue): void;
  step(): void;
}

/** Puts another value in the place of one, wherever it can be reached: Python changes a list or dict itself. */
export function replaceEverywhere(
  roots: readonly NameTable[],
  old: TorchValue,
  changed: TorchValue,
  { set, step }: TableWriter,
): void {
  const seen = new Set<NameTable>();
  const within = (value: TorchValue): TorchValue => {
    if (value === old) return changed;
    step();
    if (value.kind === "list") {
      const items = value.items.map(within);
      return items.every((item, index) => item === value.items[index]) ? value : { ...value, items };
    }
    if (value.kind === "dict") {
      const entries = value.entries.map((entry) => ({ key: entry.key, value: within(entry.value) }));
      return entries.every((entry, index) => entry.value === value.entries[index]?.value)
        ? value
        : { ...value, entries };
    }
    if (value.kind === "object" || value.kind === "unknown" || value.kind === "class") visit(value.attributes);
    if (value.kind === "object") visit(value.type.attributes);
    return value;
  };
  const visit = (table: NameTable): void => {
    if (seen.has(table)) return;
    seen.add(table);
    for (const [name, value] of [...table]) {
      const next = within(value);
      if (next !== value) set(table, name, next);
    }
  };
  for (const table of roots) visit(table);
}
