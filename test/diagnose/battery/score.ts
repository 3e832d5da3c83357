/** Scores the outcomes of the battery: how often the true cause stands first, and how often a healthy run is accused. */

import { lossOfBits } from "../../../src/diagnose/confidence/expectation.ts";
import { highConfidence } from "../../../src/runs/finding.ts";
import { faultKinds } from "./plan.ts";
import type { Outcome } from "./run.ts";

/** Points that a fault must cost; else it is none, and the run counts as healthy. */
export const leastHarm = 0.03;

/** A share with its 95 % interval (Wilson, 1927). */
export interface Share {
  readonly count: number;
  readonly of: number;
  readonly low: number;
  readonly high: number;
}

/** Returns a share with its Wilson interval at 95 %. */
export function share(count: number, of: number): Share {
  if (of === 0) return { count, of, low: 0, high: 1 };
  const z = 1.96;
  const p = count / of;
  const middle = p + z ** 2 / (2 * of);
  const spread = z * Math.sqrt((p * (1 - p)) / of + z ** 2 / (4 * of ** 2));
  const scale = 1 + z ** 2 / of;
  return { count, of, low: Math.max(0, (middle - spread) / scale), high: Math.min(1, (middle + spread) / scale) };
}

/** Accuracy that a run without a fault may lose: one that loses more has a recipe that is a fault of its own. */
function mostLost(bits: string): number {
  const [, weights, activations] = /^W(\d+)A(\d+)$/.exec(bits) ?? [];
  return 0.05 + lossOfBits(Math.min(Number(weights), Number(activations)));
}

/** Whether the run without the fault is a healthy one; others count for nothing. */
export function isSound({ float, reference, bits, error }: Outcome): boolean {
  return error === undefined && float - reference <= mostLost(bits);
}

/** Whether the planted fault did harm. */
export function isHarmful({ kind, diverged, reference, accuracy }: Outcome): boolean {
  return kind !== null && (diverged || reference - accuracy >= leastHarm);
}

/** The causes that name the fault of a run. */
export function rightCauses({ kind }: Outcome): readonly string[] {
  return faultKinds.find(({ name }) => name === kind)?.causes ?? [];
}

/** Where the right cause stands: 1 for first; 0 where it is not found. */
export function placeOf(outcome: Outcome): number {
  const right = rightCauses(outcome);
  return outcome.findings.findIndex(({ cause }) => right.includes(cause)) + 1;
}

/** Whether another cause stands first with a confidence of 60 % or more. */
export function isWrong(outcome: Outcome): boolean {
  const [first] = outcome.findings;
  return first !== undefined && first.confidence >= highConfidence && !rightCauses(outcome).includes(first.cause);
}

/** The scores of some outcomes. */
export interface Score {
  readonly first: Share;
  readonly firstOrSecond: Share;
  readonly wrong: Share;
  readonly accused: Share;
  /** Of the remedies that were tried on faults that a configuration repairs: those that win back half of the loss. */
  readonly remedyHelps: Share;
  /** Mean difference of confidence and truth over bins, weighted by their numbers. */
  readonly calibrationError: number;
  readonly bins: readonly { readonly from: number; readonly confidence: number; readonly right: Share }[];
}

/** Scores outcomes. */
export function scoreOf(all: readonly Outcome[]): Score {
  const outcomes = all.filter(isSound);
  const faults = outcomes.filter(isHarmful);
  const healthy = outcomes.filter((outcome) => !isHarmful(outcome));
  const count = (all: readonly Outcome[], holds: (outcome: Outcome) => boolean) =>
    share(all.filter(holds).length, all.length);
  const tried = faults.filter(({ remedied }) => remedied !== null);
  const bins = binsOf(outcomes);
  const findings = bins.reduce((sum, { right }) => sum + right.of, 0);
  return {
    first: count(faults, (outcome) => placeOf(outcome) === 1),
    firstOrSecond: count(faults, (outcome) => [1, 2].includes(placeOf(outcome))),
    wrong: count(faults, isWrong),
    accused: count(healthy, ({ findings }) => findings.some(({ confidence }) => confidence >= highConfidence)),
    remedyHelps: count(tried, (o) => (o.remedied ?? 0) - o.accuracy >= (o.reference - o.accuracy) / 2),
    calibrationError: bins.reduce(
      (sum, { confidence, right }) => sum + (Math.abs(confidence - right.count / right.of) * right.of) / findings,
      0,
    ),
    bins,
  };
}

/** Findings by confidence, in tenths: how many are the planted, harmful fault. */
function binsOf(outcomes: readonly Outcome[]): Score["bins"] {
  const all = outcomes.flatMap((outcome) =>
    outcome.findings.map(({ cause, confidence }) => ({
      confidence,
      isRight: isHarmful(outcome) && rightCauses(outcome).includes(cause),
    })),
  );
  return Array.from({ length: 10 }, (_, i) => i / 10).flatMap((from) => {
    const inside = all.filter(({ confidence }) => confidence >= from && (confidence < from + 0.1 || from > 0.85));
    if (inside.length === 0) return [];
    const confidence = inside.reduce((sum, each) => sum + each.confidence, 0) / inside.length;
    return [{ from, confidence, right: share(inside.filter(({ isRight }) => isRight).length, inside.length) }];
  });
}
