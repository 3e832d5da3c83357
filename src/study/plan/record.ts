/** The record of a trial: its plan, and its state from its files. */

import type { Ablation } from "../../runs/ablation.ts";
import type { LayerCost, NetworkCost } from "../../runs/cost.ts";
import type { Finding } from "../../runs/finding.ts";
import type { EpochPoint } from "../../runs/record.ts";
import type { TrialKey } from "./trial-names.ts";

/** Levels that weights and activations really have, in the layers between the first and the last. */
export interface Levels {
  readonly weights: number | null;
  readonly activations: number | null;
}

/** One training of the grid: a recipe at some bits with a seed. */
export interface PlannedTrial extends TrialKey {
  /** `lsq_W4A4_seed0`, also the name of its folder. */
  readonly id: string;
  readonly levels: Levels;
  readonly cost: Pick<NetworkCost, "bitOperations" | "bytes"> | null;
  readonly layers: readonly LayerCost[];
  /** Why this cell of the grid cannot exist, or null. */
  readonly impossible: string | null;
}

/**
 * - `waiting`: not started;
 * - `unfinished`: started, and running or interrupted;
 * - `finished`: its accuracy is a result;
 * - `stopped`: stopped early by the study's rule: its accuracy so far is no result;
 * - `failed`: it died or threw; the study's next start restarts it;
 * - `impossible`: the cell contradicts itself, nothing was run.
 */
export type TrialStatus = "waiting" | "unfinished" | "finished" | "stopped" | "failed" | "impossible";

/** The state of a trial from its files, without anything that depends on the machine's speed. */
export interface TrialState {
  readonly status: TrialStatus;
  /** Why it was stopped, failed or is impossible. */
  readonly reason: string | null;
  /** After the last epoch; null unless finished. */
  readonly accuracy: number | null;
  readonly bestAccuracy: number | null;
  readonly loss: number | null;
  readonly epochs: readonly EpochPoint[];
  readonly findings: readonly Finding[];
  /** The accuracy with parts of the quantizers switched off; null where that was not tried. */
  readonly ablation: Ablation | null;
}

/** Figures that depend on the machine. */
export interface TrialTiming {
  readonly seconds: number | null;
  readonly imagesPerSecond: number | null;
  readonly peakMemoryBytes: number | null;
}

/** A planned trial with what its folder holds. */
export interface TrialRecord extends PlannedTrial, TrialState {
  readonly timing: TrialTiming;
}

/** The float training that all trials start from. */
export interface FloatRecord {
  readonly accuracy: number;
  readonly epochs: readonly EpochPoint[];
}
