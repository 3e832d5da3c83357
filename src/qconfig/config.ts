/** Which tensors of a network are quantized, and how: the configuration that `quantize` takes. */
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

export interface QuantizationConfig {
  readonly weight: TensorQuantization | null;
  readonly activation: TensorQuantization | null;
  readonly placement: Placement;
  /** "same": as every other layer; "float": not quantized. The first layer's input is the data. */
  readonly firstLayer: LayerBits | "same" | "float";
  readonly lastLayer: LayerBits | "same" | "float";
  /** Bits of the skip branch where it enters a residual addition; null leaves it in float. Only with `fused`. */
  readonly residualBits: number | null;
}
