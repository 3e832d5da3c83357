/** What the declarations in commands/ hand to the actions in actions/: the flags of each command. */

/** The flags of `subbyte train`. Values stay texts: the configuration's schema checks them, and names the flag in errors. */
export interface TrainFlags {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly model?: string;
  readonly data?: string;
  readonly epochs?: string;
  readonly batch?: string;
  readonly lr?: string;
  readonly preset?: "thread" | "minmax" | "lsq" | "float";
  readonly weightBits?: string;
  readonly activationBits?: string;
  readonly placement?: "fused" | "everyModule";
  readonly from?: string;
  readonly seed?: string;
  readonly threads?: string;
  readonly out: string;
  readonly name?: string;
  readonly existOk?: true;
  readonly resume?: string | true;
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
  readonly dryRun?: true;
}

/** The flags of `subbyte eval`. */
export interface EvalFlags {
  readonly checkpoint: "last" | "best";
  readonly data?: string;
  readonly batch?: number;
  readonly limit?: number;
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
