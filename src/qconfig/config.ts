/** The configuration that `quantize` takes: the tensors of a network that are quantized, and how. */
import type { TensorQuantization } from "./tensor-quantization.ts";

/**
 * Where quantizers stand.
 *
 * - `fused`: at the inputs of Conv, Gemm and MatMul; BatchNormalization and ReLU belong to the layer before and are not
 *   quantized in between.
 * - `everyModule`: at the network's input and after every Conv, BatchNormalization, ReLU, Add and Linear, as torch's
 *   eager `prepare_qat` does on a model that was not fused.
 */
export type Placement = "fused" | "everyModule";

/** Bits of one layer, where they differ from the rest. */
export interface LayerBits {
  readonly weightBits: number;
  readonly activationBits: number;
}

/** The treatment of the first or the last layer; "same": as every other, "float": not quantized. */
export type LayerRule = LayerBits | "same" | "float";

/** The changes of an override to a tensor's quantization, or "float" for no quantization. */
export type TensorOverride = Partial<TensorQuantization> | "float";

/**
 * An override for some layers. It applies to the layers that `layer` names and whose operator is `operator`; at least
 * one of the two is given. See overrides.ts for the order in which overrides go over each other.
 */
export interface LayerOverride {
  /** A layer's name (`layer1.0.conv1`), or a glob: `*` within a part of the name, `**` across dots, `{3,4}` either. */
  readonly layer?: string;
  /** An operator: `Conv`, `Gemm`, `MatMul`; with the placement `everyModule` also `Relu`, `BatchNormalization`, `Add`. */
  readonly operator?: string;
  /** Bits of weights and activations both; `weight.bits` and `activation.bits` go over it. */
  readonly bits?: number;
  readonly weight?: TensorOverride;
  readonly activation?: TensorOverride;
  /** Whether `weight` and `activation` are whole quantizations, of which nothing is added to what the layer had. */
  readonly isWhole?: true;
}

/** The configuration of `quantize`: the tensors that are quantized, and how. */
export interface QuantizationConfig {
  readonly weight: TensorQuantization | null;
  readonly activation: TensorQuantization | null;
  readonly placement: Placement;
  /** The first layer's input is the data. */
  readonly firstLayer: LayerRule;
  readonly lastLayer: LayerRule;
  /**
   * Bits of what is stored without being a layer's input: both branches of residual additions, and what average pools
   * read. null leaves these in float. Only with `fused`.
   */
  readonly residualBits: number | null;
  /** Layers that are treated differently. They go over the first and last layer's rule, and later ones over earlier. */
  readonly overrides?: readonly LayerOverride[];
}
