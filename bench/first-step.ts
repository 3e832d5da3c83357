/**
 * From a network to the end of its first training step: building the graph, lowering, writing, the session, one run.
 *
 *     npx tsx bench/first-step.ts [model] [preset] [batch]
 */

import { randomStream } from "../src/base/random.ts";
import { trainingMode } from "../src/compile/build/forward.ts";
import { buildTrainingStep } from "../src/compile/build/training-step.ts";
import { quantize } from "../src/compile/passes/quantize.ts";
import { makeTensor } from "../src/ir/tensor.ts";
import { makeModel } from "../src/models/index.ts";
import { presetNamed } from "../src/qconfig/presets.ts";
import { TrainingJob } from "../src/runtime/job.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { StateBuffers } from "../src/runtime/state.ts";

const [model = "resnet20", preset = "lsq", batchText = "128"] = process.argv.slice(2);
const batchSize = Number(batchText);
const sampleShape = [3, 32, 32];
const start = performance.now();
const float = makeModel(model, { sampleShape, classes: 10 }, randomStream(0, "initial weights"));
const network = preset === "float" ? float : quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
const step = buildTrainingStep(network, {
  batchSize,
  input: { dtype: "uint8", mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] },
  loss: { name: "crossEntropy", labelSmoothing: 0 },
  optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
  weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
  mode: trainingMode,
});
const built = performance.now();
const job = await TrainingJob.create(nodeEngine(), step);
const compiled = performance.now();
const state = new StateBuffers([]);
job.prepare(state);
const data = makeTensor("uint8", [batchSize, ...sampleShape], new Uint8Array(batchSize * 3 * 32 * 32));
await job.run(state, { data, targets: makeTensor("int32", [batchSize], new Int32Array(batchSize)) }, {});
const done = performance.now();
const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(2)} s`;
console.log(
  `${model} ${preset} batch ${batchSize}: graph ${seconds(start, built)}, session ${seconds(built, compiled)}, first run ${seconds(compiled, done)}, in all ${seconds(start, done)}`,
);
