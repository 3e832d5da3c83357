/**
 * How formats/int.ts adds up codes into an accumulator, where a requantization is not fused with the layer: sums of products
 * and of windows, exact in int32 or in float.
 */
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { float32Tensor, int64Tensor } from "../../../ir/tensor.ts";
import { clip } from "../../../ops/families/activations.ts";
import { cast } from "../../../ops/families/cast.ts";
import { add, multiply, subtract } from "../../../ops/families/elementwise.ts";
import { dequantizeLinear } from "../../../ops/families/quantize-linear.ts";
import {
  type IntegerLayer,
  type IntegerNetwork,
  type IntegerTensor,
  type IntegerWeight,
  type ResampleSums,
  type Summing,
  type SumPool,
  tensorById,
} from "../../integer-network.ts";
import { floatBound } from "../../ranges.ts";
import type { IntegerMatMul } from "../../token-operations.ts";
import type { Container } from "../containers.ts";
import { resampledSums } from "../resampled-graph.ts";
import { byte } from "./codes.ts";
import {
  convAttributes,
  convolutionOfOnes,
  coversImage,
  fitsByte,
  halved,
  type IntGraphOptions,
  isPacked,
  windowAttributes,
} from "./parts.ts";

/** The graph that is being built. */
export interface IntContext {
  readonly network: IntegerNetwork;
  readonly options: IntGraphOptions;
  readonly builder: GraphBuilder;
  /** The value of a tensor. */
  value(id: number): Value;
  /** The value of a weight, `shift` bits to the left; one for all layers that read it. */
  weight(weight: IntegerWeight, options: { readonly packed: boolean; readonly shift: number }): Value;
  /** A tensor, and how its codes are stored. */
  stored(id: number): { readonly tensor: IntegerTensor; readonly container: Container };
}

/** What adds up codes, in int32 or as exact float32 numbers. */
export function summedCodes(context: IntContext, operation: Summing): Value {
  switch (operation.op) {
    case "SumPool":
      return sumOfWindows(context, operation);
    case "IntegerMatMul":
      return productOfActivations(context, operation);
    case "ResampleSums":
      return sumOfNeighbours(context, operation);
    default:
      return sumOfProducts(context, operation);
  }
}

function productOfActivations(context: IntContext, { inputs, name }: IntegerMatMul): Value {
  const { builder } = context;
  const zeroPoints = inputs.map((id) => {
    const { tensor, container } = context.stored(id);
    return byte(builder, tensor.form.zeroPoint + container.offset);
  });
  const factors = inputs.map((id) => context.value(id));
  return builder.one("MatMulInteger", [...factors, ...zeroPoints], {}, { name });
}

/** Sums of products in int32. Codes of nine bits (odd integers to ±255) are cut in two: 2·Σ x·⌊w/2⌋ + Σ x·(w mod 2). */
function sumOfProducts(context: IntContext, layer: IntegerLayer): Value {
  const { weight } = layer;
  const exact = exactProducts(context, layer);
  if (exact !== undefined) return exact;
  if (fitsByte(weight)) return products(context, layer, weight);
  const { builder } = context;
  const { halves, rest } = halved(weight);
  const doubled = multiply(builder, products(context, layer, halves), 2);
  return add(builder, doubled, products(context, layer, rest));
}

/**
 * The sums by a float convolution of codes, which is exact below 2²⁴ and several times as fast as ConvInteger on ONNX
 * Runtime; undefined where it is not wanted or not exact. The Clip never limits: it keeps the engine from multiplying the
 * factors that follow into the weights, and costs nothing, being fused into the convolution.
 */
function exactProducts(context: IntContext, layer: IntegerLayer): Value | undefined {
  const { builder, network, options } = context;
  const sums = tensorById(network, layer.output).form;
  const isExact = Math.max(-sums.low, sums.high) < floatBound && fitsByte(layer.weight);
  if (options.accumulators === "int32" || layer.op !== "IntegerConv" || !isExact) return undefined;
  const weight = context.weight(layer.weight, { packed: isPacked(options), shift: 0 });
  const x = centredFloats(context, layer.input);
  const y = builder.one("Conv", [x, cast(builder, weight, "float32")], convAttributes(layer), { name: layer.name });
  return clip(builder, y, -floatBound, floatBound);
}

/** Centred codes as float32. */
export function centredFloats(context: IntContext, id: number): Value {
  const { builder } = context;
  const { tensor, container } = context.stored(id);
  const zeroPoint = tensor.form.zeroPoint + container.offset;
  if (container.dtype === "uint8" && zeroPoint >= 0 && zeroPoint <= 255) {
    const steps = { zeroPoint: byte(builder, zeroPoint) };
    return dequantizeLinear(builder, context.value(id), builder.scalar(1), steps);
  }
  const codes = cast(builder, context.value(id), "float32");
  return zeroPoint === 0 ? codes : subtract(builder, codes, zeroPoint);
}

function products(
  context: IntContext,
  layer: IntegerLayer,
  codes: IntegerWeight,
  packed = isPacked(context.options),
): Value {
  const { builder } = context;
  const { tensor, container } = context.stored(layer.input);
  const zeroPoint = byte(builder, tensor.form.zeroPoint + container.offset);
  const x = context.value(layer.input);
  const weight = context.weight(codes, { packed, shift: 0 });
  if (layer.op === "IntegerConv") {
    return builder.one("ConvInteger", [x, weight, zeroPoint], convAttributes(layer), { name: layer.name });
  }
  const transposed = builder.one("Transpose", [weight], { perm: [1, 0] });
  return builder.one("MatMulInteger", [x, transposed, zeroPoint], {}, { name: layer.name });
}

/** Interpolated codes, in float32. The Clip never limits: without it the engine would multiply the factor that follows into a matrix. */
function sumOfNeighbours(context: IntContext, operation: ResampleSums): Value {
  const { builder } = context;
  const sums = resampledSums(builder, centredFloats(context, operation.input), operation, (name, tensor) =>
    builder.constant(tensor, name),
  );
  return clip(builder, sums, -floatBound, floatBound);
}

/** Sums of centred codes over windows, in int32. */
function sumOfWindows(context: IntContext, operation: SumPool): Value {
  const { builder } = context;
  const { tensor, container } = context.stored(operation.input);
  const isWhole = coversImage(operation, tensor.shape);
  if (container.dtype === "uint8" && !isWhole) {
    const layer = convolutionOfOnes(operation, tensor.shape);
    return products(context, layer, layer.weight, false);
  }
  const x = context.value(operation.input);
  const zeroPoint = tensor.form.zeroPoint + container.offset;
  const [, channels = 1] = tensor.shape;
  const count = operation.kernel.reduce((product, size) => product * size, 1);
  if (isWhole) {
    const axes = builder.constant(int64Tensor(operation.kernel.map((_, axis) => axis + 2)));
    const sum = builder.one("ReduceSum", [cast(builder, x, "int32"), axes], { keepdims: 1 });
    return zeroPoint === 0 ? sum : subtract(builder, sum, count * zeroPoint);
  }
  const attributes = { ...windowAttributes(operation), dilations: operation.dilations, group: channels };
  const kernel = [channels, 1, ...operation.kernel];
  const ones = builder.constant(float32Tensor(kernel, new Float32Array(channels * count).fill(1)), "ones");
  return cast(builder, builder.one("Conv", [cast(builder, x, "float32"), ones], attributes), "int32");
}
