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
  /** The accuracy that the run could have reached; absent where it is not known. */
  readonly goal?: number;
  /** Training steps of each. */
  readonly steps: number;
  /** Whether both began where the run began, rather than with its last weights. */
  readonly restarted: boolean;
  /** Test samples. */
  readonly samples: number;
}

/** Whether the remedy won back half of what is missing and more than the noise, won nothing, or something between. */
export type CheckVerdict = "confirmed" | "contradicted" | "undecided";

/** A finding with the result of its check. */
export interface VerifiedFinding {
  readonly finding: Finding;
  readonly check: Counterfactual;
  readonly verdict: CheckVerdict;
}

/**
 * The share of the missing accuracy that a remedy wins back in a short training, where its cause is true and where it is not. The remedies
 * of wrong causes often help a little: a lower learning rate makes up for much.
 */
const [wonIfTrue, wonElse, spread] = [0.8, 0.1, 0.3];
/**
 * The bounds of the logarithm of a likelihood ratio. Of 161 remedies of first findings in the battery (development seeds 2, 3 and 101), half of the
 * loss came back for 83 % of the right findings and 17 % of the wrong ones, and nothing for 7 % and 65 %.
 */
const [mostLowered, mostRaised] = [-Math.log(9), Math.log(5)];
/** A remedy that does harm says more of itself than of the cause: 5 of 171 of right findings did, and 5 of 63 of wrong ones. */
const mostLoweredByHarm = -Math.log(3);
/** A confidence is never certain before a check. */
const [leastPrior, mostPrior] = [0.02, 0.98];

/** What a remedy won in a check. */
interface Won {
  readonly difference: number;
  /** Two standard errors of the difference. */
  readonly noise: number;
  /** The difference over what the control misses, at least the noise. */
  readonly share: number;
  readonly missing: number;
}

function wonIn({ remedied, control, goal = 0, samples }: Counterfactual): Won {
  const noise = noiseOf(remedied, control, samples);
  const difference = remedied - control;
  const missing = Math.max(goal, remedied, control + noise) - control;
  return { difference, noise, missing, share: difference / missing };
}

/**
 * Returns the logarithm of the likelihood ratio of a check: of two normal distributions of the share won back, with the noise of
 * the test samples added to their spread. Bounded. A gain within the noise raises nothing, nor does
 * any of a run that misses nothing.
 *
 * @example
 * const check = { before: 0.1, remedied: 0.7, control: 0.1, goal: 0.8, steps: 60, restarted: true, samples: 1000 };
 * console.log(shiftOf(check).toFixed(2)); // 1.61: most of what is missing came back
 */
export function shiftOf(check: Counterfactual): number {
  const { difference, share, noise, missing } = wonIn(check);
  const variance = spread ** 2 + (noise / 2 / missing) ** 2;
  const shift = ((share - (wonIfTrue + wonElse) / 2) * (wonIfTrue - wonElse)) / variance;
  const missesNothing = check.goal !== undefined && check.before >= check.goal - noise;
  const least = difference <= -noise ? mostLoweredByHarm : mostLowered;
  return Math.min(difference < noise || missesNothing ? 0 : mostRaised, Math.max(least, shift));
}

/**
 * Returns a confidence with the logarithm of its odds changed.
 *
 * @example
 * console.log(confidenceAfter(0.6, Math.log(5)).toFixed(2)); // 0.88
 * console.log(confidenceAfter(0.6, -Math.log(9)).toFixed(2)); // 0.14
 */
export function confidenceAfter(confidence: number, shift: number): number {
  const prior = Math.min(mostPrior, Math.max(leastPrior, confidence));
  const odds = (prior / (1 - prior)) * Math.exp(shift);
  return odds / (1 + odds);
}

/** Returns the verdict on a check. */
export function verdictOn(check: Counterfactual): CheckVerdict {
  const { difference, noise, share } = wonIn(check);
  if (difference >= noise && share >= (wonIfTrue + wonElse) / 2) return "confirmed";
  return difference <= 0 ? "contradicted" : "undecided";
}

/** Returns a finding with a check among its evidence, and the confidence after it. */
export function verified(finding: Finding, check: Counterfactual): VerifiedFinding {
  return withShift(finding, check, shiftOf(check));
}

function withShift(finding: Finding, check: Counterfactual, shift: number): VerifiedFinding {
  const { difference, noise } = wonIn(check);
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
      confidence: confidenceAfter(finding.confidence, shift),
    },
    check,
    verdict: verdictOn(check),
  };
}

/** The findings of a run after a check, highest confidence first, and what was measured. */
export interface CheckedFindings {
  readonly findings: readonly Finding[];
  readonly checks: readonly VerifiedFinding[];
}

/**
 * Returns findings with their checks, the most certain first. Several remedies may help alike: a finding is not raised where that of a more
 * certain one won as much. Among findings near each other the one whose remedy won most comes first.
 *
 * @param findings The most certain first.
 * @param checkOf The check of a finding; undefined where it was not checked.
 */
export function withChecks(
  findings: readonly Finding[],
  checkOf: (finding: Finding) => Counterfactual | undefined,
): CheckedFindings {
  const known = new Map(findings.map((finding) => [finding, checkOf(finding)]));
  // Without a float run, the best of the trainings shows what can be reached.
  const reached = Math.max(0, ...[...known.values()].map((check) => check?.remedied ?? 0));
  let most = Number.NEGATIVE_INFINITY;
  const results = findings.map((finding) => {
    const measured = known.get(finding);
    if (measured === undefined) return finding;
    const check = { ...measured, goal: measured.goal ?? reached };
    const { difference, noise } = wonIn(check);
    const shift = shiftOf(check);
    const isExplained = most >= difference - noise;
    if (shift > 0) most = Math.max(most, difference);
    return withShift(finding, check, isExplained ? Math.min(0, shift) : shift);
  });
  const checks = results.filter((result) => "verdict" in result);
  const gains = new Map(checks.map(({ finding, check }) => [finding, check.remedied - check.control]));
  const sorted = results
    .map((result) => ("verdict" in result ? result.finding : result))
    .sort((a, b) => b.confidence - a.confidence);
  return { findings: byGain(sorted, (finding) => gains.get(finding) ?? Number.NaN), checks };
}
