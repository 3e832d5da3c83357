/** The accuracy that a remedy may win back, as far as the measurements of the run bound it. */

import type { Finding } from "../../runs/finding.ts";
import { isNarrow, lossOfBits, shortfallOf } from "../confidence/expectation.ts";
import type { DiagnosisInput } from "../input.ts";

/**
 * Returns the expected gain of repairing a finding, in accuracy: its confidence times what is missing. A remedy of the quantizers
 * wins back at most what switching them off does, or half of what is missing where that is more, because the weights were
 * trained with them; one more bit wins the difference of the expected losses. NaN where no accuracy is known.
 *
 * @example
 * const finding = { confidence: 0.8, remedy: null };
 * console.log(expectedGain(finding, { facts, records: [] })); // NaN: nothing was measured
 */
export function expectedGain(
  { confidence, remedy }: Pick<Finding, "confidence" | "remedy">,
  input: DiagnosisInput,
): number {
  return confidence * largestGain({ remedy }, input);
}

/** Returns the accuracy that repairing a finding wins back at most, were it true; NaN where no accuracy is known. */
export function largestGain({ remedy }: Pick<Finding, "remedy">, input: DiagnosisInput): number {
  const paths = Object.keys(remedy?.changes ?? {}).map((path) => path.split("."));
  const shortfall = shortfallOf(input);
  if (shortfall === undefined) return Number.NaN;
  const missing = Math.max(0, shortfall.float - shortfall.reached);
  return Math.min(missing, mostOf(remedy?.changes ?? {}, paths, missing, input));
}

function mostOf(
  changes: Readonly<Record<string, unknown>>,
  paths: readonly (readonly string[])[],
  missing: number,
  { examination, facts }: DiagnosisInput,
): number {
  if (paths.length === 0 || paths.some(([part]) => part !== "quantization")) return missing;
  const bits = paths.flatMap(([, key = ""]) => {
    const value = changes[`quantization.${key}`];
    return (key === "weightBits" || key === "activationBits") && typeof value === "number" ? [value] : [];
  });
  const narrow = isNarrow(facts);
  if (bits.length === paths.length)
    return Math.max(...bits.map((wider) => lossOfBits(wider - 1, narrow) - lossOfBits(wider, narrow)));
  if (examination === undefined) return missing;
  const cost = examination.test.float.accuracy - examination.test.quantized.accuracy;
  return Math.max(cost, missing / 2);
}

/** Findings whose confidences differ by less are near each other. */
const near = 0.02;

/**
 * Returns findings, which come with the highest confidence first, in the order to act on: among those near each other in
 * confidence the one that wins more comes first. Others, and equal ones, stay in their order.
 *
 * @param gainOf The gain of a finding, expected or measured; NaN where it is not known.
 */
export function byGain<Each extends Finding>(findings: readonly Each[], gainOf: (finding: Each) => number): Each[] {
  const [first] = findings;
  if (first === undefined) return [];
  const group = findings.filter(({ confidence }) => confidence > first.confidence - near);
  const gains = new Map(group.map((finding) => [finding, gainOf(finding)]));
  const isKnown = [...gains.values()].every((gain) => !Number.isNaN(gain));
  const ordered = isKnown ? [...group].sort((a, b) => (gains.get(b) ?? 0) - (gains.get(a) ?? 0)) : group;
  return [...ordered, ...byGain(findings.slice(group.length), gainOf)];
}
