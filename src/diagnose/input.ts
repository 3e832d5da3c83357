/** What findings are made of. */
import type { Ablation } from "./ablation-result.ts";
import type { Facts } from "./facts.ts";
import type { ProbeRecord } from "./probe/measurement.ts";

/** What is known after an epoch. */
export interface EpochFacts {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly testLoss: number;
  readonly testAccuracy: number;
}

export interface DiagnosisInput {
  readonly facts: Facts;
  /** In the order in which they were measured. */
  readonly records: readonly ProbeRecord[];
  readonly epochs?: readonly EpochFacts[];
  readonly ablation?: Ablation;
}
