/** From measurements and configuration to findings: pure functions, one for each family of causes, and their ranking. */
import { batchNormCauses } from "./causes/batch-norm.ts";
import { codeCauses } from "./causes/codes.ts";
import { gradientCauses } from "./causes/gradients.ts";
import { networkCauses } from "./causes/network.ts";
import { rangeCauses } from "./causes/ranges.ts";
import { scaleCauses } from "./causes/scales.ts";
import { trainingCauses } from "./causes/training.ts";
import { weightCauses } from "./causes/weights.ts";
import { type CauseFinding, ranked } from "./finding.ts";
import type { DiagnosisInput } from "./input.ts";

/** The findings that the measurements support, most certain first. */
export function diagnose(input: DiagnosisInput): CauseFinding[] {
  const families = [
    codeCauses,
    rangeCauses,
    scaleCauses,
    gradientCauses,
    batchNormCauses,
    trainingCauses,
    weightCauses,
    networkCauses,
  ];
  return ranked(families.flatMap((family) => family(input)));
}
