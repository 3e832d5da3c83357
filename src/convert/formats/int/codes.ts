/** Rounding to codes, sums of codes, and the constants of operators, for formats/int.ts. */
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { float32Tensor, makeTensor } from "../../../ir/tensor.ts";
import { clip } from "../../../ops/families/activations.ts";
import { cast } from "../../../ops/families/cast.ts";
import { add, round } from "../../../ops/families/elementwise.ts";
import { dequantizeLinear, quantizeLinear } from "../../../ops/families/quantize-linear.ts";
import { pad } from "../../../ops/families/shape/slicing.ts";
import { gatherLevel } from "../../../quantizers/arithmetic/levels.ts";
import type { IntegerTensor, IntegerWeight, TensorForm } from "../../integer-network.ts";
import { type Container, containerOf } from "../containers.ts";

/** Lowest and highest code of a requantization. */
type CodeLimits = Pick<TensorForm, "low" | "high">;

/** A uint8 scalar. */
export function byte(builder: GraphBuilder, value: number): Value {
  return builder.constant(makeTensor("uint8", [], Uint8Array.of(value)), `b${value}`);
}

/** One scale, or one for each channel. */
export function scales(builder: GraphBuilder, values: ArrayLike<number>): Value {
  return builder.constant(float32Tensor(values.length === 1 ? [] : [values.length], values), "scale");
}

/** One number for each channel of a tensor; a single one is a scalar. */
export function channelConstant(
  builder: GraphBuilder,
  data: Float32Array | Int32Array,
  { shape }: IntegerTensor,
): Value {
  const size = data.length === 1 ? [] : [data.length, ...shape.slice(2).map(() => 1)];
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
    image: pad(builder, image, [0, 0, 0, 0, 0, missing, 0, 0], { value: byte(builder, zeroPoint) }),
    weight: { ...weight, shape: [outChannels, channels + missing, ...kernel], codes },
  };
}
