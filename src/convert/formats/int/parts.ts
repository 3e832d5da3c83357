/** The options of formats/int.ts, attributes of the nodes that it builds, and weights too wide for its containers. */
import type { Shape } from "../../../ir/types.ts";
import type { IntegerConv, IntegerWeight, SumPool, WindowGeometry } from "../../integer-network.ts";

/** Options of the standard ONNX graph. */
export interface IntGraphOptions {
  readonly batchSize: number;
  /** Weights in INT4, UINT4, INT2 and UINT2 where they fit (default), or all in int8 for older runtimes. */
  readonly packed?: boolean;
  /** Adds every tensor of codes as an output, in its container. */
  readonly codes?: boolean;
  /**
   * How sums that a requantization does not follow at once are made: "float32" (default), exact integers in a float
   * convolution where range analysis allows; "int32", always by ConvInteger.
   */
  readonly accumulators?: "float32" | "int32";
}

/** Whether weights lie in the smallest types that hold them. */
export function isPacked({ packed = true }: IntGraphOptions): boolean {
  return packed;
}

/** A weight in two parts: w = 2·halves + rest. */
interface HalvedWeight {
  readonly halves: IntegerWeight;
  readonly rest: IntegerWeight;
}

/** One result for each weight, so that layers with the same weights have the same parts. */
const halvedWeights = new WeakMap<IntegerWeight, HalvedWeight>();

/** Codes of nine bits in two parts of eight: w = 2·⌊w/2⌋ + (w mod 2). */
export function halved(weight: IntegerWeight): HalvedWeight {
  const known = halvedWeights.get(weight) ?? halvesOf(weight);
  halvedWeights.set(weight, known);
  return known;
}

function halvesOf(weight: IntegerWeight): HalvedWeight {
  const half = { low: Math.floor(weight.low / 2), high: Math.floor(weight.high / 2), levels: [] };
  return {
    halves: { ...weight, ...half, codes: weight.codes.map((code) => Math.floor(code / 2)) },
    rest: { ...weight, low: 0, high: 1, levels: [0, 1], codes: weight.codes.map((code) => code & 1) },
  };
}

/** The sums of a pool as those of a depthwise convolution; `shape` is that of its input or output. */
export function convolutionOfOnes(pool: SumPool, [, channels = 1]: Shape): IntegerConv {
  const shape = [channels, 1, ...pool.kernel];
  const codes = new Int32Array(shape.reduce((product, size) => product * size, 1)).fill(1);
  const weight = { name: "ones", shape, codes, low: 0, high: 1, levels: [0, 1], scales: Float32Array.of(1) };
  return { ...pool, op: "IntegerConv", weight, group: channels };
}

/** Whether a pool's only window is the whole image. */
export function coversImage({ kernel, pads }: SumPool, [, , ...image]: Shape): boolean {
  return kernel.join() === image.join() && pads.every((size) => size === 0);
}

/** The attributes of a pooling node. */
export function windowAttributes({ kernel, strides, pads, dilations }: WindowGeometry) {
  const plain = dilations.every((dilation) => dilation === 1);
  return { kernel_shape: kernel, strides, pads, ...(plain ? {} : { dilations }) };
}

/** The attributes of a convolution node. */
export function convAttributes(conv: IntegerConv) {
  const { kernel, strides, pads, dilations, group } = conv;
  return { kernel_shape: kernel, strides, pads, dilations, group };
}

/** Whether a weight's grid lies within int8. */
export function fitsByte({ low, high }: IntegerWeight): boolean {
  return low >= -128 && high <= 127;
}
