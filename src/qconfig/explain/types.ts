/** The result of `explain` as data: the effective quantization of each tensor, and the levels that are lost. */
import type { LayerId } from "../../ir/origin.ts";
import type { Shape } from "../../ir/types.ts";
import type { QuantizerSpec } from "../../quantizers/definition.ts";
import type { Placement } from "../config.ts";
import type { TensorQuantization } from "../tensor-quantization.ts";

/** A place where a tensor is quantized, as the compiler knows it. */
export interface ExplainedSite {
  readonly id: string;
  readonly kind: "weight" | "activation";
  readonly layer: LayerId;
  /** A name for the tensor. */
  readonly tensor: string;
  readonly spec: QuantizerSpec;
  /** The requested quantization; absent where the quantizer came with the network. */
  readonly asked?: TensorQuantization;
}

/** The smallest and the largest value. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/** Statistics of a tensor on a batch of data (or of a weight's own values). */
export interface Observation extends ValueRange {
  /** The range of the grid, from its lowest code to its highest; absent where the quantizer has no codes. */
  readonly representable?: ValueRange;
  /** Distinct codes that the values take. */
  readonly codesSeen?: number;
  /** Share of the values above 0 that become 0. */
  readonly deadShare?: number;
  /** Channels (or the whole tensor) that hold nothing but 0. */
  readonly zeroGroups?: number;
}

/** One quantized tensor. */
export interface TensorExplanation {
  readonly name: string;
  readonly kind: "weight" | "activation";
  readonly layer: string;
  readonly shape: Shape;
  readonly quantizer: string;
  readonly granularity: string;
  readonly bitsAsked: number;
  readonly levelsAsked: number;
  readonly quantMin: number;
  readonly quantMax: number;
  /** The codes in words: `0..7`; `-1, 1`; of grids with gaps how many there are. */
  readonly codes: string;
  /** Distinct values that the quantizer can give. */
  readonly levels: number;
  /** Whether no value is negative, because the tensor leaves a ReLU. */
  readonly nonNegative: boolean;
  /** The number of quantizers that a value has passed since the last layer, this one included. */
  readonly timesQuantized: number;
  readonly observed: ValueRange | null;
  readonly representable: ValueRange | null;
  readonly codesSeen: number | null;
  readonly deadShare: number | null;
}

/** The stable name of a remark about a configuration. */
export type RemarkCode =
  | "reduce-range"
  | "reduce-range-asymmetric"
  | "limits-lost"
  | "more-levels"
  | "fewer-levels"
  | "pre-1.12-range"
  | "histogram-256-bins"
  | "fused-not-classic"
  | "symmetric-two-bits"
  | "lowest-code-unreached"
  | "sign-wasted"
  | "sign-lost"
  | "negative-part-dropped"
  | "quantized-repeatedly"
  | "range-clipped"
  | "range-too-wide"
  | "zero-range"
  | "first-last-low-bits"
  | "range-not-learned";

/** "error": the configuration does not do what it says; "warning": it loses accuracy; "info": good to know. */
export type Severity = "error" | "warning" | "info";

/** A suggested change, in the words of the configuration's own language, with its location if that is known. */
export interface Change {
  readonly from: string;
  readonly to: string;
  readonly where?: string;
}

/** A remark about a configuration, with its tensors and the suggested change. */
export interface Remark {
  readonly code: RemarkCode;
  readonly severity: Severity;
  /** Names of the tensors that it is about. */
  readonly tensors: readonly string[];
  readonly what: string;
  readonly evidence: Readonly<Record<string, number>>;
  readonly change: Change | null;
}

/** Bits and levels of the tensors of one kind that have the configuration's bits; of most where none has them. */
export interface KindSummary {
  readonly tensors: number;
  /** The bits of the configuration; absent where only the tensors are known. */
  readonly bitsOfConfig?: number;
  /** Tensors with other bits, such as the first and the last layer's. */
  readonly others: readonly { readonly bitsAsked: number; readonly tensors: number }[];
  readonly bitsAsked: number;
  readonly levelsAsked: number;
  readonly levels: number;
  /** log2 of the levels. */
  readonly bits: number;
  readonly codes: string;
  /** Levels that values can take; fewer than `levels` where the grid's sign is wasted or lost. */
  readonly levelsUsed: number;
}

/** The effective quantization of each tensor of a network. */
export interface Explanation {
  readonly schemaVersion: 1;
  readonly network: string;
  readonly placement: Placement;
  readonly weights: KindSummary | null;
  readonly activations: KindSummary | null;
  readonly tensors: readonly TensorExplanation[];
  readonly findings: readonly Remark[];
}

/** A change that a rule asks for, before it is put into the words of a configuration. */
export interface ChangeRequest {
  readonly kind: "weight" | "activation" | "network";
  readonly key:
    | "reduceRange"
    | "limits"
    | "convention"
    | "search"
    | "signed"
    | "codes"
    | "endLayers"
    | "scheme"
    | "placement"
    | "initializer"
    | "quantizer";
  readonly from: string;
  readonly to: string;
}

/** Puts a change into the words of the language that the configuration is written in; null: it cannot be said there. */
export type ChangeVoice = (request: ChangeRequest) => Change | null;
