/** What changes from epoch to epoch: which parts of quantization are at work. */
import type { ForwardMode } from "../compile/forward.ts";

export interface PhaseOptions {
  /** Epochs after which observers no longer move the ranges; absent: never. */
  readonly freezeObserversAfterEpoch?: number;
  /** Epochs after which batch normalization uses its running statistics; absent: never. */
  readonly freezeBatchNormAfterEpoch?: number;
}

/** The forward mode of an epoch, counted from 0. */
export function modeOfEpoch(options: PhaseOptions, epoch: number): ForwardMode {
  const { freezeObserversAfterEpoch: observers, freezeBatchNormAfterEpoch: batchNorm } = options;
  return {
    observe: observers === undefined || epoch < observers,
    fakeQuantize: true,
    batchNorm: batchNorm !== undefined && epoch >= batchNorm ? "running" : "batch",
  };
}
