/** What `--dry-run` finds by opening a training's data and model and running a few steps of it. */

import type { TrainingConfig } from "../config/schema/schema.ts";
import { modelTitle } from "../config/schema/schema.ts";
import { type IntegerObstacle, integerObstacles } from "../convert/obstacles.ts";
import { type DatasetSplits, describeTarget, outputCountOf } from "../data/dataset/dataset.ts";
import type { SampleType } from "../data/dataset/sample-type.ts";
import type { Shape } from "../ir/types.ts";
import type { LayerCost } from "../runs/cost.ts";
import { checkGradients } from "../train/fit/untrained-parts.ts";
import { estimateTraining } from "../train/forecast/estimate.ts";
import { inputOf } from "../train/loop/evaluate.ts";
import { loadData } from "../train/setup.ts";
import { withDefaultResidualBits } from "./commands/convert/residual-bits.ts";

/** The data of a training. */
export interface CheckedData {
  readonly name: string;
  readonly train: number;
  readonly test: number;
  readonly sampleShape: Shape;
  readonly sampleType: SampleType;
  /** null where the labels are values, or there are none. */
  readonly classes: readonly string[] | null;
  /** Values that the network has to predict for a sample; null for classes and without labels. */
  readonly values: number | null;
  /** What the network learns to give, in words. */
  readonly target: string;
  readonly normalization: { readonly mean: readonly number[]; readonly standardDeviation: readonly number[] };
}

/** What a training would work on, and what it would take. */
export interface TrainingCheck {
  readonly data: CheckedData;
  readonly model: string;
  readonly parameters: number;
  readonly layers: readonly LayerCost[];
  readonly notes: readonly string[];
  readonly batchSize: number;
  readonly measuredBatchSize: number;
  readonly steps: number;
  readonly secondsPerStep: number;
  readonly seconds: number;
  readonly memoryBytes: number;
  readonly integers: { readonly converts: boolean; readonly obstacles: readonly IntegerObstacle[] };
}

/** @throws ConfigError and whatever else starting the training would throw. */
export async function checkTraining(config: TrainingConfig): Promise<TrainingCheck> {
  const data = await loadData(config);
  checkGradients(config, data);
  const { network, notes, ...estimate } = await estimateTraining(config, data);
  const obstacles = integerObstacles(withDefaultResidualBits(network), { input: inputOf(data.train) });
  return {
    data: describedData(data),
    model: modelTitle(config.model),
    ...estimate,
    notes: [...data.notes, ...notes],
    integers: { converts: obstacles.length === 0, obstacles },
  };
}

function describedData({ train, test }: DatasetSplits): CheckedData {
  const { name, sampleShape, sampleType, target, normalization } = train;
  return {
    name,
    train: train.count,
    test: test.count,
    sampleShape,
    sampleType,
    classes: target.kind === "classes" ? target.classes : null,
    values: target.kind === "values" ? outputCountOf(train) : null,
    target: describeTarget(target),
    normalization: { mean: normalization.mean, standardDeviation: normalization.std },
  };
}
