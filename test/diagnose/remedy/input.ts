/** The input of a diagnosis with accuracies and nothing else. */

import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import { tinyConfig } from "../../support/training/tiny-run.ts";

/** Accuracies of the float run, of the run, and of its weights without quantizers. */
interface Accuracies {
  readonly float?: number;
  readonly reached?: number;
  readonly withoutQuantizers?: number;
}

/** Returns an input from which only these accuracies are known. */
export function inputOf({ float, reached, withoutQuantizers }: Accuracies): DiagnosisInput {
  const facts = {
    sites: [],
    layersOfWeights: new Map<never, never>(),
    classes: 10,
    recipe: undefined,
    from: undefined,
    floatRun: undefined,
    settings: undefined,
  };
  if (float === undefined || reached === undefined || withoutQuantizers === undefined) return { facts, records: [] };
  const result = (accuracy: number) => ({ accuracy, loss: 1 });
  const quantized = result(reached);
  const part = { samples: 500, quantized, confusion: [], reestimated: quantized, float: result(withoutQuantizers) };
  // The float accuracy counts once what the bits may cost is known: here nothing.
  const epochs = [{ epoch: 1, trainLoss: 1, testLoss: 1, testAccuracy: reached }];
  const examination = { train: part, test: part, weightsOnly: quantized, activationsOnly: quantized };
  const history = { folder: "float", config: tinyConfig(), accuracy: float, epochs: 1 };
  return { facts, records: [], epochs, examination, history };
}
