/** The training step of a network for tests that look at the graph: SGD, no smoothing. */
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { buildTrainingStep, type TrainingStep } from "../../../src/compile/build/training-step.ts";
import type { Network } from "../../../src/ir/network.ts";

type StepOptions = Parameters<typeof buildTrainingStep>[1];

export function plainStep(network: Network, batchSize: number, options: Partial<StepOptions> = {}): TrainingStep {
  return buildTrainingStep(network, {
    batchSize,
    input: { dtype: "float32" },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
    mode: trainingMode,
    ...options,
  });
}
