/** The causes that a diagnosis looks for, and how measurements become confidence. */
import type { Evidence, Finding } from "../runs/finding.ts";

/** A finding of this diagnosis, whose cause is one of {@link causes}; a file may hold causes of other versions. */
export interface CauseFinding extends Finding {
  readonly cause: CauseName;
}

/** Findings below this are not worth a line. */
export const leastConfidence = 0.15;

/** The causes that are looked for, with the row of the table in docs/diagnosis.md. */
export const causes = {
  "reduced-range": 1,
  "outlier-range": 2,
  "range-moving": 3,
  "observer-frozen-early": 3,
  "bad-initial-scale": 4,
  "mask-missing": 5,
  "gradient-mismatch": 6,
  "scale-gradient-imbalance": 7,
  saturated: 8,
  "batch-norm-stale": 9,
  oscillation: 10,
  "learning-rate-too-high": 11,
  "learning-rate-too-low": 11,
  "edge-layer-bits": 12,
  "random-start": 13,
  "sign-wasted": 14,
  "negative-lost": 14,
  "channel-disparity": 15,
  "residual-mismatch": 16,
  "heavy-tailed-weights": 17,
  capacity: 18,
  "activations-or-weights": 19,
  "unfused-placement": 20,
} as const;

export type CauseName = keyof typeof causes;

/**
 * A measurement with its threshold; whether it supports follows from the two.
 *
 * @param direction "above": it supports the cause from the threshold on; "below": up to it.
 */
export function evidence(
  measurement: string,
  value: number,
  threshold: number,
  direction: "above" | "below",
  layer?: string,
): Evidence {
  const supports = direction === "above" ? value >= threshold : value <= threshold;
  return { measurement, value, threshold, supports, ...(layer === undefined ? {} : { layer }) };
}

/** 0 at `from`, 1 at `to` (which may lie below it), linear between; 0 for a number that was not measured. */
export function ramp(value: number, from: number, to: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** The same on a logarithmic scale. */
export function logRamp(value: number, from: number, to: number): number {
  return value > 0 ? ramp(Math.log(value), Math.log(from), Math.log(to)) : 0;
}

/**
 * The most certain first; those that say nothing are left out, and so is what was not measured. Equal ones stay in the
 * order of the table.
 */
export function ranked(findings: readonly CauseFinding[]): CauseFinding[] {
  return findings
    .filter(({ confidence }) => confidence >= leastConfidence)
    .map((finding) => ({
      ...finding,
      evidence: finding.evidence.filter(
        ({ value, threshold = 0 }) => Number.isFinite(value) && Number.isFinite(threshold),
      ),
    }))
    .sort((a, b) => b.confidence - a.confidence || causes[a.cause] - causes[b.cause]);
}
