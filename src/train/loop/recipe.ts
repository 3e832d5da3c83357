/** The input, the progress and the result of a training. */

import type { LossConfig } from "../../compile/build/loss.ts";
import type { OptimizerConfig } from "../../compile/build/optimizer.ts";
import type { ParameterGroup } from "../../compile/build/training-step.ts";
import type { DatasetSplits } from "../../data/dataset/dataset.ts";
import type { Network } from "../../ir/network.ts";
import type { Target } from "../../ops/definition.ts";
import type { Checkpoint } from "../../runs/checkpoint.ts";
import type { MetricsLog } from "../../runs/metrics-log.ts";
import type { Engine } from "../../runtime/engine.ts";
import type { RecomputeChoice } from "../../runtime/job.ts";
import type { NetworkStage } from "./bit-lowering.ts";
import type { MetricName } from "./metrics.ts";
import type { PhaseOptions } from "./phases.ts";
import type { EpochProgress, StepProgress } from "./progress.ts";
import type { Schedule } from "./schedule.ts";
import type { TrainingWatcher } from "./watcher.ts";

export type { EpochProgress, StepProgress } from "./progress.ts";

/** How a network is trained. */
export interface TrainingRecipe extends PhaseOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly loss: LossConfig;
  readonly optimizer: OptimizerConfig;
  readonly learningRate: number;
  /** Factor on the learning rate, for each group of parameters. */
  readonly learningRateScale: Readonly<Record<ParameterGroup, number>>;
  readonly weightDecay: Readonly<Record<ParameterGroup, number>>;
  /** The largest 2-norm of all gradients together; absent: no limit. */
  readonly gradientClip?: number;
  readonly schedule: Schedule;
  readonly cropPadding: number;
  readonly horizontalFlip: boolean;
  readonly seed: number;
  readonly checkpointEverySteps?: number;
  /** Default `auto`. */
  readonly recompute?: RecomputeChoice;
}

/** Where a run is kept. */
export interface RunStore {
  /** Keeps a checkpoint under a name. */
  readonly save: (name: string, checkpoint: Pick<Checkpoint, "state" | "position">) => Promise<void>;
  readonly metrics: Pick<MetricsLog, "append">;
}

/** Everything that a training needs. */
export interface TrainingRun {
  /** The network in the end; where `stages` is given, that of its last stage. */
  readonly network: Network;
  /** Progressive bit lowering: the network of each part of the run, from epoch 0 on. */
  readonly stages?: readonly NetworkStage[];
  readonly data: DatasetSplits;
  readonly recipe: TrainingRecipe;
  readonly engine: Engine;
  readonly target?: Target;
  readonly store?: RunStore;
  readonly resumeFrom?: Checkpoint;
  readonly signal?: AbortSignal;
  readonly onStep?: (progress: StepProgress) => void;
  readonly onEpoch?: (progress: EpochProgress) => void;
  readonly watcher?: TrainingWatcher;
}

/** The outcome of a training. */
export interface TrainingResult {
  /** The network with the trained parameters. */
  readonly network: Network;
  /** What `accuracy` and `bestAccuracy` measure. */
  readonly metric: MetricName;
  readonly accuracy: number;
  /** Share of the test samples whose class is among the five largest outputs; of six classes and more. */
  readonly top5Accuracy?: number;
  /** Of masked and of next tokens. */
  readonly perplexity?: number;
  /** Of tokens. */
  readonly macroF1?: number;
  /** Of values. */
  readonly meanAbsoluteError?: number;
  readonly loss: number;
  readonly bestAccuracy: number;
  readonly steps: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Of `seconds`, those in which a step waited for its batch: reading, decoding and augmenting that was not done yet. */
  readonly dataSeconds: number;
}

/** The input of a run, before its watcher is created. */
export type WatchedTraining = Pick<TrainingRun, "network" | "recipe" | "data" | "engine" | "target">;
