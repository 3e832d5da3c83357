/** An observer of a training: called at each step, with the state in reach, and changing nothing. */
import type { ForwardMode } from "../../compile/build/forward.ts";
import type { FaultError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { StateBuffers } from "../../runtime/state.ts";
import type { EpochProgress } from "./progress.ts";

/** A step that is about to run. Buffers are reused by later steps: what must stay is copied. */
export interface UpcomingStep {
  /** Steps done before it. */
  readonly step: number;
  /** Counted from 0. */
  readonly epoch: number;
  readonly stepInEpoch: number;
  readonly stepsPerEpoch: number;
  /** The network of this part of the run. */
  readonly network: Network;
  readonly mode: ForwardMode;
  readonly learningRate: number;
  readonly state: StateBuffers;
  readonly batch: { readonly data: Tensor; readonly targets: Tensor };
}

/** Measures a training between its steps. */
export interface TrainingWatcher {
  beforeStep(step: UpcomingStep): Promise<void>;
  /** Why the training is to stop before the step that {@link beforeStep} saw; absent or undefined: it is to train. */
  fault?(): FaultError | undefined;
  /** @param step Steps done, this one included. */
  afterStep(step: number, loss: number): void;
  afterEpoch(progress: EpochProgress): void;
  /** Once, with the trained network, where the training came to its end; also where a resumed run had ended before. */
  afterTraining(network: Network): Promise<void>;
  /** When the run has ended, whichever way. */
  release(): Promise<void>;
}
