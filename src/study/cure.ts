/**
 * Curing a configuration that does not converge: remedies are tried one after the other as short trials, what measurably
 * helps is kept, and at the end every kept remedy that is not needed is taken back, so that the smallest set of changes
 * that suffices remains.
 *
 * Which remedies, and in which order, is the diagnosis's to say; here they are changes of configuration like any other.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { systemErrorCode } from "../data/system-error.ts";
import type { Remedy } from "./finding.ts";

const changes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const step = z.object({
  title: z.string(),
  changes,
  /** Accuracy without and with it, all remedies kept before it included. */
  before: z.number(),
  after: z.number().nullable(),
  kept: z.boolean(),
  /** Whether it was taken back at the end, for the others suffice. */
  needless: z.boolean(),
  reason: z.string(),
});
const cureFile = z.object({
  schemaVersion: z.literal(1),
  /** What was cured: `thread W4A4`. */
  subject: z.string(),
  before: z.number(),
  after: z.number(),
  /** The accuracy that counts as cured. */
  goal: z.number(),
  steps: z.array(step),
});

export type CureStep = z.output<typeof step>;
/** What cure.json holds. */
export type Cure = z.output<typeof cureFile>;

export interface CureOptions {
  readonly subject: string;
  readonly remedies: readonly Remedy[];
  readonly before: number;
  readonly goal: number;
  /** Smallest gain that counts as help: below it an accuracy differs by chance. */
  readonly margin: number;
  /** Trains with the changes of these remedies, laid one over the other, and gives the accuracy; null when it failed. */
  readonly measure: (remedies: readonly Remedy[]) => Promise<number | null>;
}

/** Tries the remedies in order. Never measures one set twice. */
export async function cure(options: CureOptions): Promise<Cure> {
  const { subject, remedies, before, goal, margin } = options;
  const measured = new Map<string, Promise<number | null>>();
  const measure = (set: readonly Remedy[]) => {
    const key = JSON.stringify(set.map((remedy) => remedy.changes));
    const known = measured.get(key) ?? options.measure(set);
    measured.set(key, known);
    return known;
  };
  const steps: CureStep[] = [];
  let kept: Remedy[] = [];
  let accuracy = before;
  for (const remedy of remedies) {
    if (accuracy >= goal) break;
    const after = await measure([...kept, remedy]);
    const helps = after !== null && after >= accuracy + margin;
    const { title } = remedy;
    const gain =
      after === null
        ? "the trial failed"
        : `${after >= accuracy ? "+" : "−"}${Math.abs(100 * (after - accuracy)).toFixed(1)} points`;
    steps.push({ title, changes: remedy.changes, before: accuracy, after, kept: helps, needless: false, reason: gain });
    if (!helps) continue;
    kept = [...kept, remedy];
    accuracy = after;
  }
  // The last one kept brought it over the goal; an earlier one may have become needless by it.
  const enough = Math.min(goal, accuracy - margin);
  for (const remedy of kept.slice(0, -1)) {
    const rest = kept.filter((other) => other !== remedy);
    const without = await measure(rest);
    if (without === null || without < enough) continue;
    kept = rest;
    accuracy = without;
    const at = steps.findIndex((candidate) => candidate.title === remedy.title);
    const found = steps[at];
    if (found !== undefined) {
      const reason = `${found.reason}; not needed: ${(100 * without).toFixed(1)} % without it`;
      steps[at] = { ...found, kept: false, needless: true, reason };
    }
  }
  return { schemaVersion: 1, subject, before, after: accuracy, goal, steps };
}

/** The cure that a study's folder tells of; undefined when none was tried. */
export async function readCure(file: string): Promise<Cure | undefined> {
  try {
    const content = cureFile.safeParse(JSON.parse(await readFile(file, "utf8")));
    return content.success ? content.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
