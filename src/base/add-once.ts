/** Registries that plugins may extend. */

/** Adds an entry to a registry. Returns false, and adds nothing, where another entry has that key. */
export function addOnce<Entry>(registry: Map<string, Entry>, key: string, entry: Entry): boolean {
  const existing = registry.get(key);
  if (existing !== undefined) return existing === entry;
  registry.set(key, entry);
  return true;
}
