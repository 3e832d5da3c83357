/**
 * The search for the smallest set of remedies that fixes a configuration: remedies are tried one after the other as trainings,
 * those that measurably help are kept, and at the end every redundant one is removed again.
 *
 * The diagnosis proposes the remedies and their order; here they are changes of configuration like any other.
 */
import type { ConfigChanges } from "../../config/changes.ts";
import type { Finding, Remedy } from "../../runs/finding.ts";

/** One remedy that was tried, and its effect. */
export interface FixStep {
  readonly title: string;
  readonly changes: ConfigChanges;
  /** Accuracy without and with it, including all remedies kept before it. */
  readonly before: number;
  readonly after: number | null;
  readonly kept: boolean;
  /** Whether it was removed at the end, because the others suffice. */
  readonly redundant: boolean;
  /** The later remedy that subsumes it: with that one it changes nothing. */
  readonly subsumedBy: string | null;
  readonly reason: string;
}

/** The start of a fix search, and its measurement. */
export interface FixSearchOptions {
  readonly remedies: readonly Remedy[];
  readonly before: number;
  readonly goal: number;
  /** Smallest gain for which a remedy is kept: smaller ones are random. */
  readonly margin: number;
  /** Trains with the combined changes of these remedies. Returns the accuracy, or the reason why there is none. */
  readonly measure: (remedies: readonly Remedy[]) => Promise<number | string>;
  /** Identifies the configuration that remedies lead to, so that none is measured twice. Default: the changes. */
  readonly configurationOf?: (remedies: readonly Remedy[]) => string;
  /** After each remedy; `left`: remedies that may still be tried. */
  readonly onStep?: (step: FixStep, left: number) => void;
}

/** The result of a fix search. */
export interface FixSearchResult {
  readonly before: number;
  readonly after: number;
  /** The accuracy to reach. */
  readonly goal: number;
  readonly steps: FixStep[];
}

/** Tries the remedies in order. Never measures one configuration twice. */
export async function searchFix(options: FixSearchOptions): Promise<FixSearchResult> {
  const { remedies, before, goal, margin } = options;
  const { configurationOf = changesOf } = options;
  const measured = new Map<string, Promise<number | string>>();
  const measure = (set: readonly Remedy[]) => {
    const key = configurationOf(set);
    const known = measured.get(key) ?? options.measure(set);
    measured.set(key, known);
    return known;
  };
  const steps: FixStep[] = [];
  let kept: Remedy[] = [];
  let accuracy = before;
  for (const [index, remedy] of remedies.entries()) {
    if (accuracy >= goal) break;
    const result = await measure([...kept, remedy]);
    const after = typeof result === "number" ? result : null;
    const helps = after !== null && after >= accuracy + margin;
    const { title } = remedy;
    const reason = typeof result === "number" ? gain(result - accuracy) : result;
    const verdict = { kept: helps, redundant: false, subsumedBy: null, reason };
    const step = { title, changes: remedy.changes, before: accuracy, after, ...verdict };
    steps.push(step);
    options.onStep?.(step, remedies.length - index - 1);
    if (!helps) continue;
    kept = [...kept, remedy];
    accuracy = after;
  }
  // The last one kept brought it over the goal; an earlier one may be redundant now.
  const enough = Math.min(goal, accuracy - margin);
  for (const remedy of kept.slice(0, -1)) {
    const rest = kept.filter((other) => other !== remedy);
    const subsumedBy = configurationOf(rest) === configurationOf(kept) ? (rest.at(-1)?.title ?? null) : null;
    const without = await measure(rest);
    if (typeof without === "string" || without < enough) continue;
    kept = rest;
    accuracy = without;
    const at = steps.findIndex((candidate) => candidate.title === remedy.title);
    const found = steps[at];
    if (found === undefined) continue;
    const why =
      subsumedBy === null ? `redundant: ${(100 * without).toFixed(1)} % without it` : `subsumed by: ${subsumedBy}`;
    steps[at] = { ...found, kept: false, redundant: true, subsumedBy, reason: `${found.reason}; ${why}` };
  }
  return { before, after: accuracy, goal, steps };
}

function changesOf(remedies: readonly Remedy[]): string {
  return JSON.stringify(remedies.map(({ changes }) => changes));
}

/** `+3.1 points` */
function gain(difference: number): string {
  return `${difference >= 0 ? "+" : "−"}${Math.abs(100 * difference).toFixed(1)} points`;
}

/** Returns the changes of all of these remedies; later ones override earlier ones. */
export function laidOver(remedies: readonly Pick<Remedy, "changes">[]): ConfigChanges {
  return Object.fromEntries(remedies.flatMap(({ changes }) => Object.entries(changes)));
}

/** Returns the remedies that findings ask for, the most certain cause's first, each change once. */
export function remediesOf(findings: readonly Pick<Finding, "remedy">[], most: number): Remedy[] {
  const remedies = new Map<string, Remedy>();
  for (const { remedy } of findings) {
    if (remedy === null || Object.keys(remedy.changes).length === 0) continue;
    const key = JSON.stringify(Object.entries(remedy.changes).sort());
    if (!remedies.has(key)) remedies.set(key, remedy);
  }
  return [...remedies.values()].slice(0, most);
}
