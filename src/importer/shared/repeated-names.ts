/** The names of nodes that a layer repeats at every time step: one for each purpose. */

/** Keeps the names by the node of the file and the purpose of what is made of it. */
export class RepeatedNames {
  readonly #names = new Map<object, Map<string, string>>();

  /** Returns the name that nodes of this purpose have, or the one that `make` gives to the first of them. */
  of(node: object, purpose: string, make: () => string): string {
    const names = this.#names.get(node) ?? new Map<string, string>();
    this.#names.set(node, names);
    const name = names.get(purpose) ?? make();
    names.set(purpose, name);
    return name;
  }
}
