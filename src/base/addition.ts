/** Registries that plugins may extend: a plugin's entries are added together, or none of them. */

/** An entry for a registry, and the key that it wants. */
export interface Addition {
  readonly registry: ReadonlyMap<string, unknown>;
  readonly key: string;
  readonly entry: unknown;
  /** Whether the registry itself wants this key for something else. */
  readonly isReserved: boolean;
  add(): void;
}

/** Returns the addition of an entry to a registry; the registry stays as it is until {@link addTogether}. */
export function additionTo<Entry>(
  registry: Map<string, Entry>,
  key: string,
  entry: Entry,
  { isReserved = false }: { readonly isReserved?: boolean } = {},
): Addition {
  return { registry, key, entry, isReserved, add: () => void registry.set(key, entry) };
}

/**
 * Adds all entries. Where the key of one is taken by another entry, of the registry or of this list, it adds nothing and
 * returns the place of that one in the list.
 */
export function addTogether(additions: readonly Addition[]): number | undefined {
  const clash = additions.findIndex(
    (addition, i) => addition.isReserved || isTaken(addition) || additions.slice(0, i).some(clashesWith(addition)),
  );
  if (clash >= 0) return clash;
  for (const addition of additions) addition.add();
  return undefined;
}

function isTaken({ registry, key, entry }: Addition): boolean {
  return registry.has(key) && registry.get(key) !== entry;
}

function clashesWith({ registry, key, entry }: Addition): (other: Addition) => boolean {
  return (other) => other.registry === registry && other.key === key && other.entry !== entry;
}
