/**
 * Curing a configuration that does not converge: remedies are tried one after the other as short trials, what measurably
 * helps is kept, and at the end every kept remedy that is not needed is taken back, so that the smallest set of changes
 * that suffices remains.
 *
 * Which remedies, and in which order, is the diagnosis's to say; here they are changes of configuration like any other.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { FileFormatError } from "../../errors.ts";
import { systemErrorCode } from "../../io/system-error.ts";
import type { Remedy } from "../../runs/finding.ts";

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
  /** The later remedy that brings it along: with that one it changes nothing any more. */
  partOf: z.string().nullable().default(null),
  reason: z.string(),
});
const cureSchema = z.object({
  recipe: z.string(),
  weightBits: z.number(),
  activationBits: z.number(),
  /** The trial that was cured. */
  trial: z.string(),
  before: z.number(),
  after: z.number(),
  /** The accuracy that counts as cured. */
  goal: z.number(),
  steps: z.array(step),
});
const cureFile = z.object({ schemaVersion: z.literal(2), cures: z.array(cureSchema) });

export type CureStep = z.output<typeof step>;
/** One cure of cure.json. */
export type Cure = z.output<typeof cureSchema>;

export interface CureOptions {
  readonly remedies: readonly Remedy[];
  readonly before: number;
  readonly goal: number;
  /** Smallest gain that counts as help: below it an accuracy differs by chance. */
  readonly margin: number;
  /** Trains with the changes of these remedies, laid one over the other: the accuracy, or why there is none. */
  readonly measure: (remedies: readonly Remedy[]) => Promise<number | string>;
  /** Names the configuration that remedies lead to: sets that lead to the same one are the same. Default: the changes. */
  readonly configurationOf?: (remedies: readonly Remedy[]) => string;
  /** After each remedy; `left`: remedies that may still be tried. */
  readonly onStep?: (step: CureStep, left: number) => void;
}

/** What a cure came to. */
export type CureCourse = Pick<Cure, "before" | "after" | "goal" | "steps">;

/** Tries the remedies in order. Never measures one configuration twice. */
export async function cure(options: CureOptions): Promise<CureCourse> {
  const { remedies, before, goal, margin } = options;
  const { configurationOf = changesOf } = options;
  const measured = new Map<string, Promise<number | string>>();
  const measure = (set: readonly Remedy[]) => {
    const key = configurationOf(set);
    const known = measured.get(key) ?? options.measure(set);
    measured.set(key, known);
    return known;
  };
  const steps: CureStep[] = [];
  let kept: Remedy[] = [];
  let accuracy = before;
  for (const [index, remedy] of remedies.entries()) {
    if (accuracy >= goal) break;
    const result = await measure([...kept, remedy]);
    const after = typeof result === "number" ? result : null;
    const helps = after !== null && after >= accuracy + margin;
    const { title } = remedy;
    const reason = typeof result === "number" ? gain(result - accuracy) : result;
    const verdict = { kept: helps, needless: false, partOf: null, reason };
    const step = { title, changes: remedy.changes, before: accuracy, after, ...verdict };
    steps.push(step);
    options.onStep?.(step, remedies.length - index - 1);
    if (!helps) continue;
    kept = [...kept, remedy];
    accuracy = after;
  }
  // The last one kept brought it over the goal; an earlier one may have become needless by it.
  const enough = Math.min(goal, accuracy - margin);
  for (const remedy of kept.slice(0, -1)) {
    const rest = kept.filter((other) => other !== remedy);
    const partOf = configurationOf(rest) === configurationOf(kept) ? (rest.at(-1)?.title ?? null) : null;
    const without = await measure(rest);
    if (typeof without === "string" || without < enough) continue;
    kept = rest;
    accuracy = without;
    const at = steps.findIndex((candidate) => candidate.title === remedy.title);
    const found = steps[at];
    if (found === undefined) continue;
    const why = partOf === null ? `not needed: ${(100 * without).toFixed(1)} % without it` : `comes with: ${partOf}`;
    steps[at] = { ...found, kept: false, needless: true, partOf, reason: `${found.reason}; ${why}` };
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

/** The text of cure.json. */
export function encodeCures(cures: readonly Cure[]): string {
  return `${JSON.stringify({ schemaVersion: 2, cures }, undefined, 1)}\n`;
}

/** The cures that a study's folder tells of. @throws FileFormatError when the file is damaged or another version's. */
export async function readCures(file: string): Promise<readonly Cure[]> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return [];
  const remedy = "Remove it: the cure is tried again.";
  try {
    const content = cureFile.safeParse(JSON.parse(text));
    if (content.success) return content.data.cures;
  } catch (cause) {
    throw new FileFormatError("it is not JSON", { where: file, remedy, cause });
  }
  throw new FileFormatError("it was written by another version of subbyte", { where: file, remedy });
}
