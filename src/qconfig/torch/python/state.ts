/** The state of an evaluation: cells whose changes can be undone, so that both branches of an undecided condition run. */
import type { NameTable, TorchValue } from "../values.ts";
import { sameValue, unknownValue } from "../values.ts";
import type { At } from "./source.ts";

/** The ways in which a body of statements can end. Several are present where a condition is not decided. */
export interface BodyOutcome {
  readonly next?: true;
  readonly break?: true;
  readonly continue?: true;
  readonly raise?: true;
  readonly returned?: TorchValue;
}

/** A body that ran to its end. */
export const ranOn: BodyOutcome = { next: true };

interface Change {
  readonly cell: NameTable;
  readonly name: string;
  readonly before: TorchValue | undefined;
}

/** At most as many values are kept of one name. */
const mostOptions = 16;

/** Cells with a journal of their changes. */
export class State {
  #journal: Change[] = [];
  /** The undecided conditions that what runs now is under. */
  readonly conditions: At[] = [];

  set(cell: NameTable, name: string, value: TorchValue | undefined): void {
    this.#journal.push({ cell, name, before: cell.get(name) });
    if (value === undefined) cell.delete(name);
    else cell.set(name, value);
  }

  /** Runs both branches of an undecided condition from the same state, and keeps what each may have left. */
  fork(condition: At, first: () => BodyOutcome, second: () => BodyOutcome, isLoop = false): BodyOutcome {
    const outer = this.#journal;
    this.conditions.push(condition);
    const [one, afterFirst] = this.#attempt(first);
    const [other, afterSecond] = this.#attempt(second);
    this.conditions.pop();
    this.#journal = outer;
    // A branch that ends in an error leaves nothing behind.
    const [left, right] = isRaise(one)
      ? [afterSecond, afterSecond]
      : isRaise(other)
        ? [afterFirst, afterFirst]
        : [afterFirst, afterSecond];
    for (const [cell, names] of union(left, right)) {
      for (const name of names) {
        const [a, b] = [left, right].map((after) => {
          const changed = after.get(cell);
          return changed?.has(name) === true ? changed.get(name) : cell.get(name);
        });
        const chosen = chosenOf(condition, a, b);
        // A loop may change a number once more, so that it is neither of the two.
        const isOpen = isLoop && chosen?.kind === "choice" && chosen.options.some(({ kind }) => kind === "number");
        const open = isOpen ? unknownValue(name, condition, "a loop that is not evaluated changes it") : undefined;
        this.set(cell, name, open ?? chosen);
      }
    }
    if (isRaise(one)) return other;
    if (isRaise(other)) return one;
    return joinOutcomes(condition, one, other);
  }

  #attempt(run: () => BodyOutcome): [BodyOutcome, Map<NameTable, Map<string, TorchValue | undefined>>] {
    this.#journal = [];
    const outcome = run();
    const after = new Map<NameTable, Map<string, TorchValue | undefined>>();
    for (const { cell, name } of this.#journal) {
      const names = after.get(cell) ?? new Map<string, TorchValue | undefined>();
      after.set(cell, names.set(name, cell.get(name)));
    }
    for (const { cell, name, before } of this.#journal.reverse()) {
      if (before === undefined) cell.delete(name);
      else cell.set(name, before);
    }
    return [outcome, after];
  }
}

function isRaise(outcome: BodyOutcome): boolean {
  return outcome.raise === true && Object.keys(outcome).length === 1;
}

function union(
  a: ReadonlyMap<NameTable, ReadonlyMap<string, unknown>>,
  b: ReadonlyMap<NameTable, ReadonlyMap<string, unknown>>,
): Map<NameTable, Set<string>> {
  const all = new Map<NameTable, Set<string>>();
  for (const [cell, names] of [...a, ...b]) all.set(cell, new Set([...(all.get(cell) ?? []), ...names.keys()]));
  return all;
}

/** What a name holds after an undecided condition. */
export function chosenOf(at: At, a: TorchValue | undefined, b: TorchValue | undefined): TorchValue | undefined {
  // A name that only one branch assigns is used only where that branch ran.
  if (a === undefined || b === undefined) return a ?? b;
  const options: TorchValue[] = [];
  for (const value of [a, b].flatMap((each) => (each.kind === "choice" ? each.options : [each]))) {
    if (!options.some((other) => sameValue(other, value)) && options.length < mostOptions) options.push(value);
  }
  const [only] = options;
  return options.length === 1 && only !== undefined ? only : { kind: "choice", options, at };
}

/** Both outcomes. */
export function joinOutcomes(at: At, a: BodyOutcome, b: BodyOutcome): BodyOutcome {
  const returned = chosenOf(at, a.returned, b.returned);
  return { ...a, ...b, ...(returned === undefined ? {} : { returned }) };
}
