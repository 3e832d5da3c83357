/** The progress of a training. */
import type { EvaluationResult } from "./metrics.ts";

/** The progress after a step. */
export interface StepProgress {
  readonly step: number;
  readonly epoch: number;
  /** Steps done in the epoch, and how many it has. */
  readonly stepInEpoch: number;
  readonly stepsPerEpoch: number;
  readonly loss: number;
  /** Part of the samples that came out right, 0 to 1; of classes with labels. */
  readonly accuracy?: number;
  /** Since the run or its resumption began. */
  readonly imagesPerSecond: number;
}

/** The results of an epoch. */
export interface EpochProgress {
  readonly epoch: number;
  readonly trainLoss: number;
  /** Of classes with labels. */
  readonly trainAccuracy?: number;
  readonly test: EvaluationResult;
  readonly imagesPerSecond: number;
}
