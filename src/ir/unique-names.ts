/** Names of which each is given once. */

/** Remembers names, and makes new ones like the wanted ones: `a`, `a_1`, `a_2`, without trying all numbers each time. */
export class UniqueNames {
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();

  /** Marks a name as taken. */
  add(name: string): void {
    this.#taken.add(name);
  }

  /** A name that was not taken, which it is from now on. */
  unused(wanted: string): string {
    let name = wanted;
    let number = this.#next.get(wanted) ?? 1;
    while (this.#taken.has(name)) name = `${wanted}_${number++}`;
    this.#next.set(wanted, number);
    this.#taken.add(name);
    return name;
  }
}
