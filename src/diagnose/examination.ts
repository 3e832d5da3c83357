/**
 * The examination of a trained network: the same weights on samples of both parts, with all quantizers, with those of the weights,
 * with those of the activations, and without any. It tells a fault of the quantization from one of the training or the data.
 */

import { defined } from "../base/defined.ts";
import { isQuantized } from "../compile/sites.ts";
import type { Dataset, DatasetSplits } from "../data/dataset/dataset.ts";
import type { Network } from "../ir/network.ts";
import { float32Data, float32Scalar, type Tensor } from "../ir/tensor.ts";
import type { Target } from "../ops/definition.ts";
import type { Engine } from "../runtime/engine.ts";
import { StateBuffers } from "../runtime/state.ts";
import { BatchNormReestimator } from "../train/loop/batch-norm-statistics.ts";
import { Evaluator, evaluate } from "../train/loop/evaluate.ts";
import { switchName, withSwitches } from "./ablation.ts";
import { spacedSamples } from "./sample-choice.ts";

/** Accuracy and mean cross-entropy on some samples. */
export interface ExamResult {
  readonly accuracy: number;
  readonly loss: number;
}

/** The results on one part of the data. */
export interface ExaminedPart {
  readonly samples: number;
  /** As the run ends: all quantizers, the running statistics of the run. */
  readonly quantized: ExamResult;
  /** How often class j is answered where i is right, `confusion[i][j]`. */
  readonly confusion: readonly (readonly number[])[];
  /** The same with the statistics of batch normalization estimated again. */
  readonly reestimated: ExamResult;
  /** Without quantizers, with statistics estimated again. */
  readonly float: ExamResult;
}

/** The examination of a network. */
export interface Examination {
  readonly train: ExaminedPart;
  readonly test: ExaminedPart;
  /** On the test samples, with statistics estimated again; equal to `test.float` in a float run. */
  readonly weightsOnly: ExamResult;
  readonly activationsOnly: ExamResult;
  /** The teacher on the test samples; absent where there is none. */
  readonly teacher?: ExamResult;
}

/** How a network is examined. */
export interface ExaminationOptions {
  readonly engine: Engine;
  readonly target?: Target;
  /** The teacher of a distillation. */
  readonly teacher?: Network;
  /** Samples of each part; default 512. */
  readonly samples?: number;
}

const defaultSamples = 512;
const statisticsBatches = 6;
const statisticsBatch = 64;

/** Examines a network with its own parameters; undefined where the data has no classes. */
export async function examine(
  network: Network,
  { train, test }: DatasetSplits,
  options: ExaminationOptions,
): Promise<Examination | undefined> {
  if (train.target.kind !== "classes" || test.target.kind !== "classes") return undefined;
  const { engine, target, samples = defaultSamples } = options;
  const sites = isQuantized(network) ? network.sites : [];
  const switched = isQuantized(network) ? withSwitches(network) : network;
  const parameters = switched.parameters.map(({ name, value }) => [name, value] as const);
  const batch = { batchSize: Math.min(statisticsBatch, train.count), seed: 0 };
  const parts = { train: spacedSamples(train, samples), test: spacedSamples(test, samples) };
  const evaluators = {
    train: await Evaluator.create(switched, parts.train, engine, defined({ target })),
    test: await Evaluator.create(switched, parts.test, engine, defined({ target })),
  };
  const reestimator = await BatchNormReestimator.create(switched, train, engine, { ...batch, ...defined({ target }) });
  const measure = async (isOn: (kind: string) => boolean, isReestimated: boolean) => {
    const state = new StateBuffers(parameters);
    for (const { id, kind } of sites) state.set(switchName(id), float32Scalar(isOn(kind) ? 1 : 0));
    if (isReestimated) await reestimator.run(state, 0, statisticsBatches);
    return async (part: "train" | "test") => {
      const confusion = new Confusion(parts[part]);
      const { accuracy, loss } = await evaluators[part].run(state, (output, targets, valid) =>
        confusion.add(output, targets, valid),
      );
      return { result: { accuracy, loss }, confusion: confusion.counts };
    };
  };
  try {
    const quantized = await measure(() => true, false);
    const reestimated = await measure(() => true, true);
    const float = sites.length === 0 ? reestimated : await measure(() => false, true);
    const part = async (name: "train" | "test"): Promise<ExaminedPart> => {
      const { result, confusion } = await quantized(name);
      return {
        samples: parts[name].count,
        quantized: result,
        confusion,
        reestimated: (await reestimated(name)).result,
        float: (await float(name)).result,
      };
    };
    const teacher =
      options.teacher === undefined ? undefined : await teacherResult(options.teacher, parts.test, engine);
    const trainPart = await part("train");
    const testPart = await part("test");
    if (sites.length === 0) {
      const alone = { weightsOnly: testPart.float, activationsOnly: testPart.float };
      return { train: trainPart, test: testPart, ...alone, ...defined({ teacher }) };
    }
    const weightsOnly = await measure((kind) => kind === "weight", true);
    const activationsOnly = await measure((kind) => kind === "activation", true);
    return {
      train: trainPart,
      test: testPart,
      weightsOnly: (await weightsOnly("test")).result,
      activationsOnly: (await activationsOnly("test")).result,
      ...defined({ teacher }),
    };
  } finally {
    await evaluators.train.release();
    await evaluators.test.release();
    await reestimator.release();
  }
}

async function teacherResult(teacher: Network, dataset: Dataset, engine: Engine): Promise<ExamResult> {
  const { accuracy, loss } = await evaluate(teacher, dataset, engine);
  return { accuracy, loss };
}

/** Counts answers by the right class. */
class Confusion {
  readonly counts: number[][];

  constructor({ target }: Dataset) {
    const classes = target.kind === "classes" ? target.classes : [];
    this.counts = classes.map(() => classes.map(() => 0));
  }

  add(output: Tensor, targets: ArrayLike<number>, valid: number): void {
    const data = float32Data(output);
    const width = output.shape.at(-1) ?? 1;
    for (let sample = 0; sample < valid; sample++) {
      const row = data.subarray(sample * width, (sample + 1) * width);
      const answer = row.reduce((best, value, k) => (value > (row[best] ?? 0) ? k : best), 0);
      const counts = this.counts[targets[sample] ?? 0];
      if (counts !== undefined && answer < counts.length) counts[answer] = (counts[answer] ?? 0) + 1;
    }
  }
}
