/** Scores the outcomes of the battery: how often the true cause stands first, and how often a healthy run is accused. */

import { lossOfBits } from "../../../src/diagnose/confidence/expectation.ts";
import { highConfidence } from "../../../src/runs/finding.ts";
import { bases } from "./networks.ts";
import { faultKinds } from "./plan.ts";
import { type Bin, binsOf, calibrationErrorOf, type Judged, type Share, share } from "./reliability.ts";
import type { Outcome } from "./run.ts";

/** Points that a fault must cost; else it is none, and the run counts as healthy. */
export const leastHarm = 0.03;

/** Accuracy that a run without a fault may lose: one that loses more has a recipe that is a fault of its own. */
function mostLost({ bits, base }: Outcome): number {
  const [, weights, activations] = /^W(\d+)A(\d+)$/.exec(bits) ?? [];
  return (
    0.05 +
    lossOfBits(
      Math.min(Number(weights), Number(activations)),
      bases.find(({ name }) => name === base)?.isNarrow === true,
    )
  );
}

/** Whether the run without the fault is a healthy one; others count for nothing. */
export function isSound(outcome: Outcome): boolean {
  const { float, reference, error } = outcome;
  return error === undefined && float - reference <= mostLost(outcome);
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

/** Whether a harmful fault is not the first finding, or a healthy run is accused. */
export function isMiss(outcome: Outcome): boolean {
  if (isHarmful(outcome)) return placeOf(outcome) !== 1;
  return outcome.findings.some(({ confidence }) => confidence >= highConfidence);
}

/** The confidence of the most certain finding that is not true; 0 where there is none. */
export function wrongConfidence(outcome: Outcome): number {
  const right = isHarmful(outcome) ? rightCauses(outcome) : [];
  return Math.max(0, ...outcome.findings.flatMap(({ cause, confidence }) => (right.includes(cause) ? [] : confidence)));
}

/** The scores of some outcomes. */
export interface Score {
  readonly first: Share;
  readonly firstOrSecond: Share;
  readonly wrong: Share;
  readonly accused: Share;
  /** Of the remedies that were tried on faults that a configuration repairs: those that win back half of the loss. */
  readonly remedyHelps: Share;
  /** Expected calibration error over the bins. */
  readonly calibrationError: number;
  readonly bins: readonly Bin[];
}

/** Scores outcomes. */
export function scoreOf(all: readonly Outcome[]): Score {
  const outcomes = all.filter(isSound);
  const faults = outcomes.filter(isHarmful);
  const healthy = outcomes.filter((outcome) => !isHarmful(outcome));
  const count = (all: readonly Outcome[], holds: (outcome: Outcome) => boolean) =>
    share(all.filter(holds).length, all.length);
  const tried = faults.filter(({ remedied }) => remedied !== null);
  const bins = binsOf(judgedFindings(outcomes));
  return {
    first: count(faults, (outcome) => placeOf(outcome) === 1),
    firstOrSecond: count(faults, (outcome) => [1, 2].includes(placeOf(outcome))),
    wrong: count(faults, isWrong),
    accused: count(healthy, ({ findings }) => findings.some(({ confidence }) => confidence >= highConfidence)),
    remedyHelps: count(tried, (o) => (o.remedied ?? 0) - o.accuracy >= (o.reference - o.accuracy) / 2),
    calibrationError: calibrationErrorOf(bins),
    bins,
  };
}

/** All findings of outcomes: one is true where it names the planted, harmful fault. */
export function judgedFindings(outcomes: readonly Outcome[]): Judged[] {
  return outcomes.flatMap((outcome) =>
    outcome.findings.map(({ cause, confidence }) => ({
      confidence,
      isTrue: isHarmful(outcome) && rightCauses(outcome).includes(cause),
    })),
  );
}
