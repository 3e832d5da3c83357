/** The input of the diagnosis. */
import type { Ablation } from "../runs/ablation.ts";
import type { EpochPoint } from "../runs/record.ts";
import type { DataFacts } from "./data-facts.ts";
import type { Examination } from "./examination.ts";
import type { Facts } from "./facts.ts";
import type { History } from "./history.ts";
import type { ProbeRecord } from "./probe/measurement.ts";

/** The results of an epoch. */
export type EpochFacts = Pick<EpochPoint, "epoch" | "trainLoss" | "testLoss" | "testAccuracy">;

/** Everything that findings are derived from. */
export interface DiagnosisInput {
  readonly facts: Facts;
  /** In the order in which they were measured. */
  readonly records: readonly ProbeRecord[];
  readonly epochs?: readonly EpochFacts[];
  readonly ablation?: Ablation;
  /** What enters the network, and the classes. */
  readonly data?: DataFacts;
  /** The network at the end of the run, or of what was trained of it. */
  readonly examination?: Examination;
  /** The float run that the run began with. */
  readonly history?: History;
}
