/** The one formula by which integers become codes, and the data's way in; every float operation is rounded to float32. */
import {
  type Dequantize,
  type IntegerTensor,
  type QuantizeInput,
  quotientBits,
  type Requantize,
} from "../integer-network.ts";
import type { ReadIntegers } from "../token-operations.ts";
import { channelOf, type Elements, int32, limit, nearestEven, roundToLevel } from "./numbers.ts";

const f32 = Math.fround;

/** q = clamp(rhe(f32(x·r)) + z), x being f32(f32(data·factor) + offset) where they are normalized. */
export function interpretInput(operation: QuantizeInput, data: ArrayLike<number>, output: IntegerTensor): Float64Array {
  const { start = 0 } = operation;
  const { factor, offset } = operation.normalization ?? {};
  const [, channels = 1] = output.shape;
  const length = output.shape.reduce((product, size) => product * size, 1);
  const perChannel = length / channels;
  return Float64Array.from({ length }, (_, i) => {
    const value = data[start + i] ?? Number.NaN;
    const c = Math.floor(i / perChannel);
    const x = f32(f32(value * (factor?.[c] ?? 1)) + (offset?.[c] ?? 0));
    return codeOf(f32(x * operation.reciprocal), output, output.form);
  });
}

/** Whole numbers as they enter, within the bounds of their form. */
export function interpretIntegers(
  { start }: ReadIntegers,
  data: ArrayLike<number>,
  { shape, form }: IntegerTensor,
): Float64Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return Float64Array.from({ length }, (_, i) => limit(Math.trunc(data[start + i] ?? Number.NaN), form.low, form.high));
}

/** t = Σ f32(v·m[k]) + offset[k] with v = ((q − z) << shift) + bias[k], or a quotient, for every element: before any rounding to an integer. */
export function interpretSum(
  operation: Requantize | Dequantize,
  inputs: readonly Elements[],
  output: IntegerTensor,
  arithmetic: "float" | "fixed" = "float",
): Float64Array {
  const { name, terms, offset } = operation;
  const unit = arithmetic === "fixed" ? 2 ** -quotientBits : 1;
  const count = output.shape.reduce((product, size) => product * size, 1);
  const result = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const k = channelOf(i, output.shape, operation.axis);
    let t = 0;
    for (const [index, term] of terms.entries()) {
      const source = inputs[index];
      if (source === undefined) throw new RangeError(`${name}: term ${index} has no input`);
      const gain = term.gains[term.gains.length === 1 ? 0 : k] ?? 0;
      const m = term.multiplier ?? f32(f32(term.inputScale * gain) / output.form.scale);
      const { kind, zeroPoint } = source.tensor.form;
      const centred = (source.data[i] ?? 0) - zeroPoint;
      const v = kind === "quotient" ? centred * unit : int32(centred * 2 ** term.shift + (term.bias?.[k] ?? 0), name);
      const product = f32(f32(v) * m);
      t = index === 0 ? product : f32(t + product);
    }
    result[i] = offset === undefined ? t : f32(t + (offset[k] ?? 0));
  }
  return result;
}

/** Requantizes accumulators or codes as docs/integer.md says. */
export function interpretRequantize(
  operation: Requantize,
  inputs: readonly Elements[],
  output: IntegerTensor,
): Float64Array {
  return interpretSum(operation, inputs, output).map((t) => codeOf(t, output, operation));
}

/** clamp(nearest(t) + z). */
function codeOf(
  t: number,
  { form }: IntegerTensor,
  { low, high }: { readonly low: number; readonly high: number },
): number {
  const nearest = form.levels === undefined ? nearestEven(t) : roundToLevel(t, form.levels);
  return limit(nearest + form.zeroPoint, low, high);
}
