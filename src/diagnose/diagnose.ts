/** From measurements and configuration to findings: pure functions, one for each family of causes, and their ranking. */
import { batchNormCauses } from "./causes/batch-norm.ts";
import { codeCauses } from "./causes/codes.ts";
import { gradientCauses } from "./causes/gradients.ts";
import { networkCauses } from "./causes/network.ts";
import { rangeCauses } from "./causes/ranges.ts";
import { scaleCauses } from "./causes/scales.ts";
import { trainingCauses } from "./causes/training.ts";
import { weightCauses } from "./causes/weights.ts";
import { type CauseFamily, type CauseFinding, leastConfidence } from "./finding.ts";
import type { DiagnosisInput } from "./input.ts";

/** Adding a family is adding its file and a line here. */
const families = [
  codeCauses,
  rangeCauses,
  scaleCauses,
  gradientCauses,
  batchNormCauses,
  trainingCauses,
  weightCauses,
  networkCauses,
] as const;

type NameOf<Family> = Family extends CauseFamily<infer Name> ? Name : never;

/** The name of a cause that a diagnosis looks for. */
export type CauseName = NameOf<(typeof families)[number]>;

/** The causes that a diagnosis looks for, with the row of the table in docs/diagnosis.md. */
export const causes: Readonly<Record<string, number>> = Object.fromEntries(
  families.flatMap(({ rows }) => Object.entries(rows)),
);

/**
 * Returns the findings that the measurements support, those of the highest confidence first.
 *
 * @example
 * const facts = { sites: [], layersOfWeights: new Map(), classes: 10, recipe: undefined, from: undefined, floatRun: undefined };
 * console.log(diagnose({ facts, records: [] }).map(({ cause }) => cause)); // []: nothing was measured
 */
export function diagnose(input: DiagnosisInput): CauseFinding<CauseName>[] {
  return ranked(families.flatMap((family): readonly CauseFinding<CauseName>[] => family.find(input)));
}

/**
 * The most certain first; those that say nothing are left out, and so is what was not measured. Equal ones stay in the
 * order of the table.
 */
function ranked(findings: readonly CauseFinding<CauseName>[]): CauseFinding<CauseName>[] {
  return findings
    .filter(({ confidence }) => confidence >= leastConfidence)
    .map((finding) => ({
      ...finding,
      evidence: finding.evidence.filter(
        ({ value, threshold = 0 }) => Number.isFinite(value) && Number.isFinite(threshold),
      ),
    }))
    .sort((a, b) => b.confidence - a.confidence || rowOf(a) - rowOf(b));
}

function rowOf({ cause }: CauseFinding): number {
  return causes[cause] ?? 0;
}
