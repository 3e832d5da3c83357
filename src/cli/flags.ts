/** What the declarations in commands/ hand to the actions in actions/: the flags of each command. */

import type { DeviceChoice } from "../runtime/engine.ts";

/** The flags of `subbyte train`. Values stay texts: the configuration's schema checks them, and names the flag in errors. */
export interface TrainFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly model?: string;
  readonly data?: string;
  readonly task?: "classification" | "regression" | "distillation";
  readonly teacher?: string;
  readonly epochs?: string;
  readonly batch?: string;
  readonly lr?: string;
  readonly preset?: string;
  readonly weightBits?: string;
  readonly activationBits?: string;
  readonly placement?: "fused" | "everyModule";
  readonly from?: string;
  readonly seed?: string;
  readonly device?: string;
  readonly threads?: string;
  readonly recompute?: "auto" | "always" | "never";
  readonly out: string;
  readonly name?: string;
  readonly existOk?: true;
  readonly resume?: string | true;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly dryRun?: true;
  /** true: measure and print findings; false: do not even measure. */
  readonly diagnose?: boolean;
}

/** The flags of `subbyte profile`, defaults filled in: some of those of train, and its own. */
export type ProfileFlags = Omit<TrainFlags, "out" | "json"> & {
  readonly steps: number;
  readonly layers: number;
  readonly json?: true;
};

/** The flags of `subbyte diagnose`, defaults filled in. */
export interface DiagnoseFlags {
  readonly checkpoint: "last" | "best";
  readonly ablate?: true;
  readonly limit: number;
  readonly from?: string;
  readonly threads: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** The flags of `subbyte eval`. */
export interface EvalFlags {
  readonly checkpoint: "last" | "best";
  readonly data?: string;
  readonly batch?: number;
  readonly integer?: true;
  readonly limit?: number;
  readonly device: DeviceChoice;
  readonly threads: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** The flags of `subbyte demo`, defaults filled in. */
export interface DemoFlags {
  readonly weightBits: number;
  readonly activationBits: number;
  readonly floatEpochs: number;
  readonly qatEpochs: number;
  readonly trainLimit?: number;
  readonly testLimit?: number;
  readonly seed: number;
  readonly threads: number;
  readonly out: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** The flags of `subbyte data fetch`. */
export interface DataFetchFlags {
  readonly out?: string;
  readonly json?: true;
  readonly quiet?: true;
}

/** The flags of `subbyte data info`. */
export interface DataInfoFlags {
  readonly json?: true;
}

/** The flags of `subbyte explain`. */
export interface ExplainFlags {
  readonly weightBits?: number;
  readonly activationBits?: number;
  readonly placement?: "fused" | "everyModule";
  readonly define?: readonly string[];
  readonly data?: string;
  readonly from?: string;
  readonly threads: number;
  readonly json?: true;
  readonly verbose?: true;
}

/** The flags of `subbyte import`. */
export interface ImportFlags {
  readonly out?: string;
  readonly inputShape?: readonly string[];
  readonly batch?: number;
  readonly keepBatch?: true;
  readonly restoreBatchNorm?: true;
  readonly json?: true;
}

/** The flags of `subbyte inspect`, defaults filled in. */
export interface InspectFlags {
  readonly weightBits: number;
  readonly activationBits: number;
  readonly inputShape?: readonly string[];
  readonly sampleShape: string;
  readonly classes: number;
  readonly json?: true;
}

/** The flags of `subbyte convert`, defaults filled in. */
export interface ConvertFlags {
  readonly checkpoint: "last" | "best";
  readonly format?: readonly string[];
  readonly out?: string;
  readonly batch: number;
  readonly arithmetic: "float" | "fixed";
  readonly pack: boolean;
  readonly residualBits?: number;
  readonly verify?: true;
  readonly data?: string;
  readonly limit?: number;
  readonly interpret: number;
  readonly threads: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** The flags of `subbyte compare`, defaults filled in. */
export interface CompareFlags {
  readonly data?: string;
  readonly limit?: number;
  readonly departure: number;
  readonly threads: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}
