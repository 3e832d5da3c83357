/** From the accuracies of a counterfactual check to a verdict and a confidence. */

import type { Finding } from "../../runs/finding.ts";
import { evidence } from "../finding.ts";
import { byGain } from "./gain.ts";
import { noiseOf } from "./trial.ts";

/** The accuracies of two short trainings of the same length, with the remedy and without it. */
export interface Counterfactual {
  /** The accuracy of the run itself. */
  readonly before: number;
  readonly remedied: number;
  readonly control: number;
  /** Training steps of each. */
  readonly steps: number;
  /** Whether both began where the run began, rather than with its last weights. */
  readonly restarted: boolean;
  /** Test samples. */
  readonly samples: number;
}

/** Whether the remedy helped by more than the noise, did not help, or helped by less. */
export type CheckVerdict = "confirmed" | "contradicted" | "undecided";

/** A finding with the result of its check. */
export interface VerifiedFinding {
  readonly finding: Finding;
  readonly check: Counterfactual;
  readonly verdict: CheckVerdict;
}

/** The largest change of the logarithm of the odds: a check makes a cause at most 20 times as likely, or unlikely. */
const mostShift = Math.log(20);
/** A confidence is never certain before a check. */
const [leastPrior, mostPrior] = [0.02, 0.98];

/**
 * Returns the confidence after a check: the odds of before, times the likelihood ratio of a gain of one noise against none. With
 * noise = 2σ and r = difference / noise, its logarithm is 4·r − 2; it is bounded by the logarithm of 20.
 *
 * @param difference Accuracy with the remedy minus that of the control.
 * @param noise Two standard errors of the difference.
 *
 * @example
 * console.log(confidenceAfter(0.6, 0.1, 0.1).toFixed(2)); // 0.92
 * console.log(confidenceAfter(0.6, 0, 0.1).toFixed(2)); // 0.17
 */
export function confidenceAfter(confidence: number, difference: number, noise: number): number {
  const prior = Math.min(mostPrior, Math.max(leastPrior, confidence));
  const shift = Math.min(mostShift, Math.max(-mostShift, (4 * difference) / noise - 2));
  const odds = (prior / (1 - prior)) * Math.exp(shift);
  return odds / (1 + odds);
}

/** Returns the verdict on a difference. */
export function verdictOn(difference: number, noise: number): CheckVerdict {
  if (difference >= noise) return "confirmed";
  return difference <= 0 ? "contradicted" : "undecided";
}

/** Returns a finding with a check among its evidence, and the confidence after it. */
export function verified(finding: Finding, check: Counterfactual): VerifiedFinding {
  const difference = check.remedied - check.control;
  const noise = noiseOf(check.remedied, check.control, check.samples);
  const start = check.restarted ? "from the start of the run" : "from its last weights";
  const measured = evidence(
    `accuracy with the remedy − without, ${check.steps} steps ${start}`,
    difference,
    noise,
    "above",
  );
  return {
    finding: {
      ...finding,
      evidence: [measured, ...finding.evidence],
      confidence: confidenceAfter(finding.confidence, difference, noise),
    },
    check,
    verdict: verdictOn(difference, noise),
  };
}

/** The findings of a run after a check, highest confidence first, and what was measured. */
export interface CheckedFindings {
  readonly findings: readonly Finding[];
  readonly checks: readonly VerifiedFinding[];
}

/**
 * Returns findings with their checks, the most certain first. Several remedies may help alike: the cause is rather the one whose
 * remedy wins most, which comes first among findings near each other.
 *
 * @param checkOf The check of a finding; undefined where it was not checked.
 */
export function withChecks(
  findings: readonly Finding[],
  checkOf: (finding: Finding) => Counterfactual | undefined,
): CheckedFindings {
  const results = findings.map((finding) => {
    const check = checkOf(finding);
    return check === undefined ? finding : verified(finding, check);
  });
  const checks = results.filter((result) => "verdict" in result);
  const gains = new Map(checks.map(({ finding, check }) => [finding, check.remedied - check.control]));
  const sorted = results
    .map((result) => ("verdict" in result ? result.finding : result))
    .sort((a, b) => b.confidence - a.confidence);
  return { findings: byGain(sorted, (finding) => gains.get(finding) ?? Number.NaN), checks };
}
