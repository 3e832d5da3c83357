/** Rounding to codes, sums of codes, and the constants of operators, for formats/int.ts. */
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { float32Tensor, makeTensor } from "../../../ir/tensor.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import { clip } from "../../../ops/families/activations.ts";
import { cast } from "../../../ops/families/cast.ts";
import { add, round } from "../../../ops/families/elementwise.ts";
import { dequantizeLinear, quantizeLinear } from "../../../ops/families/quantize-linear.ts";
import { expand, pad } from "../../../ops/families/shape/shape-ops.ts";
import { gatherLevel } from "../../../quantizers/arithmetic/levels.ts";
import type { ConstantCodes, IntegerTensor, IntegerWeight, TensorForm } from "../../integer-network.ts";
import type { GatherRows } from "../../token-operations.ts";
import { type Container, containerOf } from "../containers.ts";

/** Lowest and highest code of a requantization. */
type CodeLimits = Pick<TensorForm, "low" | "high">;

/** A uint8 scalar. */
export function byte(builder: GraphBuilder, value: number): Value {
  return builder.constant(makeTensor("uint8", [], Uint8Array.of(value)), `b${value}`);
}

/** Codes that do not depend on the data, as they are stored. */
export function constantCodes(
  builder: GraphBuilder,
  { codes }: ConstantCodes,
  { dtype, offset }: Container,
  shape: Shape,
): Value {
  const stored = codes.map((code) => code + offset);
  const data = (values: Int32Array) => (dtype === "uint8" ? Uint8Array.from(values) : values);
  if (stored.length > 1) {
    const all = builder.constant(makeTensor(dtype, [1, ...shape.slice(1)], data(stored)), "codes");
    return shape[0] === 1 ? all : expand(builder, all, shape);
  }
  const same = new Int32Array(elementCount(shape)).fill(stored[0] ?? 0);
  return builder.constant(makeTensor(dtype, shape, data(same)), "codes");
}

/** The rows of a table of codes, as they are stored. */
export function storedRows(b: GraphBuilder, { rows, size, name }: GatherRows, { dtype, offset }: Container): Value {
  const stored = rows.map((code) => code + offset);
  const data = dtype === "uint8" ? Uint8Array.from(stored) : stored;
  return b.constant(makeTensor(dtype, [rows.length / size, size], data), `${name}/rows`);
}

/** One scale, or one for each channel. */
export function scales(builder: GraphBuilder, values: ArrayLike<number>): Value {
  return builder.constant(float32Tensor(values.length === 1 ? [] : [values.length], values), "scale");
}

/** One number for each channel of an axis of a tensor; a single one is a scalar. */
export function channelConstant(
  builder: GraphBuilder,
  data: Float32Array | Int32Array,
  { shape }: IntegerTensor,
  axis = 1,
): Value {
  const size = data.length === 1 ? [] : [data.length, ...shape.slice(axis + 1).map(() => 1)];
  return builder.constant(makeTensor(data instanceof Float32Array ? "float32" : "int32", size, data));
}

/** clamp(round(t) + z) in the container. */
export function rounded(builder: GraphBuilder, t: Value, { form, name }: IntegerTensor, limits: CodeLimits): Value {
  const container = containerOf(form, name);
  const zeroPoint = form.zeroPoint + container.offset;
  if (form.levels === undefined && container.dtype === "uint8" && zeroPoint >= 0 && zeroPoint <= 255) {
    const codes = quantizeLinear(builder, t, builder.scalar(1), { zeroPoint: byte(builder, zeroPoint) });
    return limited(builder, codes, container, limits);
  }
  const whole =
    form.levels === undefined ? round(builder, t) : gatherLevel(builder, t, 1, { levels: form.levels, ties: "down" });
  const moved = zeroPoint === 0 ? whole : add(builder, whole, zeroPoint);
  const { low, high } = limits;
  return cast(builder, clip(builder, moved, low + container.offset, high + container.offset), container.dtype);
}

/** Stored codes within their limits; nothing where all bytes are. */
export function limited(builder: GraphBuilder, codes: Value, { offset }: Container, limits: CodeLimits): Value {
  const [low, high] = [limits.low + offset, limits.high + offset];
  return low <= 0 && high >= 255 ? codes : clip(builder, codes, byte(builder, low), byte(builder, high));
}

/**
 * A sum of codes with multipliers that round nothing (scaling.ts): dequantized in units of the output's step, added, and
 * quantized. ONNX Runtime makes one QLinearAdd of that.
 */
export function sumOfCodes(
  builder: GraphBuilder,
  parts: readonly { readonly codes: Value; readonly zeroPoint: number; readonly multiplier: number }[],
): Value {
  return parts
    .map(({ codes, zeroPoint, multiplier }) =>
      dequantizeLinear(builder, codes, builder.scalar(multiplier), { zeroPoint: byte(builder, zeroPoint) }),
    )
    .reduce((sum, part) => add(builder, sum, part));
}

/** ONNX Runtime's fast integer convolutions take input channels in groups of this number of bytes. */
const channelGroup = 4;

/** The data's codes and the first layer's weights with channels of zeros added, so that there are whole groups of them. */
export function withWholeGroups(
  builder: GraphBuilder,
  image: Value,
  weight: IntegerWeight,
  zeroPoint: number,
): { readonly image: Value; readonly weight: IntegerWeight } {
  const [outChannels = 0, channels = 0, ...kernel] = weight.shape;
  const missing = (channelGroup - (channels % channelGroup)) % channelGroup;
  if (missing === 0) return { image, weight };
  const window = kernel.reduce((product, size) => product * size, 1);
  const [row, widerRow] = [channels * window, (channels + missing) * window];
  const codes = new Int32Array(outChannels * widerRow);
  for (let k = 0; k < outChannels; k++) codes.set(weight.codes.subarray(k * row, (k + 1) * row), k * widerRow);
  return {
    image: pad(builder, image, [...image.type.shape.map(() => 0), 0, missing, ...kernel.map(() => 0)], {
      value: byte(builder, zeroPoint),
    }),
    weight: { ...weight, shape: [outChannels, channels + missing, ...kernel], codes },
  };
}
