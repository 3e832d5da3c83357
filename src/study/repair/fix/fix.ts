/**
 * The search for the smallest set of remedies that fixes a configuration: remedies are tried one after the other as short
 * trials, those that measurably help are kept, and at the end every redundant one is removed again.
 *
 * The diagnosis proposes the remedies and their order; here they are changes of configuration like any other.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { formerNames } from "../../../config/former-names.ts";
import { FileFormatError } from "../../../errors.ts";
import { describeSystemError, systemErrorCode } from "../../../io/system-error.ts";
import type { Remedy } from "../../../runs/finding.ts";
import { presentTrialId } from "../../plan/trial-names.ts";

const changes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const step = z.object({
  title: z.string(),
  changes,
  /** Accuracy without and with it, including all remedies kept before it. */
  before: z.number(),
  after: z.number().nullable(),
  kept: z.boolean(),
  /** Whether it was removed at the end, because the others suffice. */
  redundant: z.boolean(),
  /** The later remedy that subsumes it: with that one it changes nothing. */
  subsumedBy: z.string().nullable(),
  reason: z.string(),
});
const fixSchema = z.object({
  recipe: z.string(),
  weightBits: z.number(),
  activationBits: z.number(),
  /** The failing trial. */
  trial: z.string(),
  before: z.number(),
  after: z.number(),
  /** The accuracy to reach. */
  goal: z.number(),
  steps: z.array(step),
});
const fixFile = z.object({ schemaVersion: z.literal(3), fixes: z.array(fixSchema) });

/** The fix.json of earlier versions, converted to present names. */
const formerFile = z
  .object({
    schemaVersion: z.literal(2),
    [formerNames.fixes]: z.array(
      fixSchema.extend({
        steps: z.array(
          step
            .omit({ redundant: true, subsumedBy: true })
            .extend({
              [formerNames.redundant]: z.boolean(),
              [formerNames.subsumedBy]: z.string().nullable().default(null),
            })
            .transform(({ [formerNames.redundant]: redundant, [formerNames.subsumedBy]: subsumedBy, ...rest }) => ({
              ...rest,
              redundant,
              subsumedBy,
            })),
        ),
      }),
    ),
  })
  .transform(({ [formerNames.fixes]: fixes }) => ({
    fixes: fixes.map((fix) => ({ ...fix, trial: presentTrialId(fix.trial) })),
  }));

/** One remedy that was tried, and its effect. */
export type FixStep = z.output<typeof step>;
/** One fix search of fix.json. */
export type Fix = z.output<typeof fixSchema>;

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
export type FixSearchResult = Pick<Fix, "before" | "after" | "goal" | "steps">;

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

/** Returns the text of fix.json. */
export function encodeFixes(fixes: readonly Fix[]): string {
  return `${JSON.stringify({ schemaVersion: 3, fixes }, undefined, 1)}\n`;
}

/**
 * Reads the fixes of a study, from the file of an earlier version where there is no other.
 *
 * @param file fix.json.
 * @throws FileFormatError when the file is damaged or another version's.
 */
export async function readFixes(file: string): Promise<readonly Fix[]> {
  return (await readFixFile(file)) ?? (await readFixFile(join(dirname(file), formerNames.fixFile))) ?? [];
}

async function readFixFile(file: string): Promise<readonly Fix[] | undefined> {
  const remedy = "Remove it: the fix search runs again.";
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    const { reason } = describeSystemError(error);
    throw new FileFormatError(`it cannot be read: ${reason}`, { where: file, remedy, cause: error });
  });
  if (text === undefined) return undefined;
  try {
    const content = z.union([fixFile, formerFile]).safeParse(JSON.parse(text));
    if (content.success) return content.data.fixes;
  } catch (cause) {
    throw new FileFormatError("it is not JSON", { where: file, remedy, cause });
  }
  throw new FileFormatError("it was written by another version of subbyte", { where: file, remedy });
}
