/** From measurements and configuration to findings: pure functions, one for each family of causes, and their ranking. */

import { dataCauses } from "./causes/data.ts";
import { codeCauses } from "./causes/quantizers/codes.ts";
import { gradientCauses } from "./causes/quantizers/gradients.ts";
import { levelCauses } from "./causes/quantizers/levels.ts";
import { placementCauses } from "./causes/quantizers/placement.ts";
import { quantizerPhaseCauses } from "./causes/quantizers/quantizer-phases.ts";
import { rangeCauses } from "./causes/quantizers/ranges.ts";
import { scaleTrainingCauses } from "./causes/quantizers/scale-training.ts";
import { scaleCauses } from "./causes/quantizers/scales.ts";
import { weightCauses } from "./causes/quantizers/weights.ts";
import { batchNormCauses } from "./causes/training/batch-norm.ts";
import { batchNormMomentumCauses } from "./causes/training/batch-norm-momentum.ts";
import { gradientClipCauses } from "./causes/training/gradient-clip.ts";
import { learningRateCauses } from "./causes/training/learning-rate.ts";
import { optimizerCauses } from "./causes/training/optimizer.ts";
import { startCauses } from "./causes/training/start.ts";
import { calibrated } from "./confidence/calibration.ts";
import { weightOfShortfall } from "./confidence/expectation.ts";
import { type CauseFamily, type CauseFinding, leastScore } from "./finding.ts";
import type { DiagnosisInput } from "./input.ts";
import { remedyForRun } from "./remedy/for-run.ts";
import { byGain, expectedGain } from "./remedy/gain.ts";

/** Adding a family is adding its file and a line here. */
const families = [
  codeCauses,
  rangeCauses,
  scaleCauses,
  gradientCauses,
  batchNormCauses,
  learningRateCauses,
  weightCauses,
  placementCauses,
  optimizerCauses,
  scaleTrainingCauses,
  quantizerPhaseCauses,
  levelCauses,
  startCauses,
  dataCauses,
  gradientClipCauses,
  batchNormMomentumCauses,
] as const;

type NameOf<Family> = Family extends CauseFamily<infer Name> ? Name : never;

/** The name of a cause that a diagnosis looks for. */
export type CauseName = NameOf<(typeof families)[number]>;

/** The causes that a diagnosis looks for, with the row of the table in docs/diagnosis.md. */
export const causes: Readonly<Record<string, number>> = Object.fromEntries(
  families.flatMap(({ rows }) => Object.entries(rows)),
);

/**
 * Returns the findings that the measurements support, those of the highest confidence first; of those near each other the
 * one whose remedy is expected to win more.
 *
 * @example
 * const facts = { sites: [], layersOfWeights: new Map(), classes: 10, recipe: undefined, from: undefined, floatRun: undefined, settings: undefined };
 * console.log(diagnose({ facts, records: [] }).map(({ cause }) => cause)); // []: nothing was measured
 */
export function diagnose(input: DiagnosisInput): CauseFinding<CauseName>[] {
  const found = families.flatMap((family): readonly CauseFinding<CauseName>[] => family.find(input));
  const weight = weightOfShortfall(input);
  const findings = withoutConsequences(found).map((finding) => ({
    ...finding,
    confidence: finding.confidence * weight,
  }));
  const { settings } = input.facts;
  const applicable = ranked(findings).map((finding) => ({ ...finding, remedy: remedyForRun(finding, settings) }));
  return byGain(applicable, (finding) => expectedGain(finding, input));
}

const earlyCauses: ReadonlySet<string> = new Set(families.flatMap(({ early }: CauseFamily) => early ?? []));

/** Returns whether a finding may be reported before the run has ended: see {@link CauseFamily.early}. */
export function mayBeReportedEarly({ cause }: Pick<CauseFinding, "cause">): boolean {
  return earlyCauses.has(cause);
}

/** The causes that each cause explains. */
const explanations: ReadonlyMap<string, readonly string[]> = new Map(
  families.flatMap(({ explains }: CauseFamily) =>
    Object.entries(explains ?? {}).map(([cause, all]) => [cause, all ?? []] as const),
  ),
);

const startingCauses: ReadonlySet<string> = new Set(
  families.flatMap(({ actsAtStart }: CauseFamily) => actsAtStart ?? []),
);

/** Whether a cause acts where a training begins, so that its remedy shows only in a training from there. */
export function actsAtStart(cause: string): boolean {
  return startingCauses.has(cause);
}

/** Share of its confidence that a finding keeps next to a certain cause that explains its measurements. */
const keptByConsequence = 0.3;

/** Lowers the confidence of what another finding explains; of two that explain each other, that of the less certain one. */
function withoutConsequences(findings: readonly CauseFinding<CauseName>[]): CauseFinding<CauseName>[] {
  const explainsOther = (by: CauseFinding, of: CauseFinding) =>
    explanations.get(by.cause)?.includes(of.cause) === true || by.explains?.includes(of.cause) === true;
  return findings.map((finding) => {
    const causes = findings.filter(
      (other) =>
        other !== finding &&
        explainsOther(other, finding) &&
        !(explainsOther(finding, other) && finding.confidence > other.confidence),
    );
    const strongest = Math.max(0, ...causes.map(({ confidence }) => confidence));
    return { ...finding, confidence: finding.confidence * (1 - (1 - keptByConsequence) * strongest) };
  });
}

/**
 * The most certain first; those that say nothing are left out, and so is what was not measured. Equal ones stay in the
 * order of the table.
 */
function ranked(findings: readonly CauseFinding<CauseName>[]): CauseFinding<CauseName>[] {
  return findings
    .filter(({ confidence }) => confidence >= leastScore)
    .map(({ explains: _, ...finding }) => ({
      ...finding,
      confidence: calibrated(finding.confidence),
      evidence: finding.evidence.filter(
        ({ value, threshold = 0 }) => Number.isFinite(value) && Number.isFinite(threshold),
      ),
    }))
    .sort((a, b) => b.confidence - a.confidence || rowOf(a) - rowOf(b));
}

function rowOf({ cause }: CauseFinding): number {
  return causes[cause] ?? 0;
}
