/**
 * Findings: a cause in the field's terms, where it is, what was measured for and against it, how sure that makes one,
 * and the change of configuration that mends it. Plain data; `findings.json` of a run holds them.
 */

/** A measurement that speaks for a finding, or against it. */
export interface Evidence {
  /** What was measured: `levels`, `clipped share`. */
  readonly measurement: string;
  /** The layer or tensor it was measured on; absent: the whole network. */
  readonly layer?: string;
  readonly value: number;
  /** The value from which on it supports the cause, or up to which where it is refuting. */
  readonly threshold?: number;
  readonly supports: boolean;
}

/** Dotted keys of the training configuration and their new values. */
export interface Remedy {
  readonly title: string;
  readonly changes: Readonly<Record<string, string | number | boolean | null>>;
}

export interface Finding {
  /** A stable name for programs: one of {@link causes}. */
  readonly cause: CauseName;
  /** The cause as a sentence. */
  readonly title: string;
  readonly layers: readonly string[];
  readonly evidence: readonly Evidence[];
  /** 0 to 1; from {@link highConfidence} on it is worth acting on. */
  readonly confidence: number;
  readonly remedy: Remedy | null;
}

/** From here on a finding asks for action. */
export const highConfidence = 0.6;
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
export function ranked(findings: readonly Finding[]): Finding[] {
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
