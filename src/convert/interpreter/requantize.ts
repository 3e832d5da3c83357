/** The one formula by which integers become codes, and the data's way in; every float operation is rounded to float32. */
import type { Dequantize, IntegerTensor, QuantizeInput, Requantize } from "../integer-network.ts";
import { int32, limit, nearestEven } from "./numbers.ts";

const f32 = Math.fround;

/** q = clamp(rhe(f32(x·r)) + z), x being f32(f32(data·factor) + offset) where they are normalized. */
export function interpretInput(operation: QuantizeInput, data: ArrayLike<number>, output: IntegerTensor): Float64Array {
  const { factor, offset } = operation.normalization ?? {};
  const [, channels = 1] = output.shape;
  const perChannel = data.length / channels;
  const t = Float64Array.from(data, (value, i) => {
    const c = Math.floor(i / perChannel);
    const x = f32(f32(value * (factor?.[c] ?? 1)) + (offset?.[c] ?? 0));
    return f32(x * operation.reciprocal);
  });
  return codesOf(t, output, output.form);
}

/** The sum of an operation's terms for every element: in float, before any rounding to an integer. */
export function interpretSum(
  operation: Requantize | Dequantize,
  inputs: readonly { readonly data: Float64Array; readonly tensor: IntegerTensor }[],
  output: IntegerTensor,
): Float64Array {
  const [, channels = 1] = output.shape;
  const count = output.shape.reduce((product, size) => product * size, 1);
  const perChannel = count / channels;
  const result = new Float64Array(count);
  operation.terms.forEach((term, index) => {
    const source = inputs[index];
    if (source === undefined) throw new RangeError(`${operation.name}: term ${index} has no input`);
    const { data, tensor } = source;
    const { zeroPoint } = tensor.form;
    const unit = 2 ** term.shift;
    let i = 0;
    for (let k = 0; k < channels; k++) {
      const gain = term.gains[term.gains.length === 1 ? 0 : k] ?? 0;
      const m = term.multiplier ?? f32(f32(term.inputScale * gain) / output.form.scale);
      const bias = term.bias?.[k] ?? 0;
      for (const end = i + perChannel; i < end; i++) {
        const v = int32(((data[i] ?? 0) - zeroPoint) * unit + bias, operation.name);
        const product = f32(f32(v) * m);
        result[i] = index === 0 ? product : f32((result[i] ?? 0) + product);
      }
    }
  });
  const { offset } = operation;
  if (offset === undefined) return result;
  return result.map((t, i) => f32(t + (offset[Math.floor(i / perChannel)] ?? 0)));
}

/** Requantizes accumulators or codes as docs/integer.md says. */
export function interpretRequantize(
  operation: Requantize,
  inputs: readonly { readonly data: Float64Array; readonly tensor: IntegerTensor }[],
  output: IntegerTensor,
): Float64Array {
  return codesOf(interpretSum(operation, inputs, output), output, operation);
}

/** clamp(nearest(t) + z), written over t. */
function codesOf(
  t: Float64Array,
  { form }: IntegerTensor,
  { low, high }: { readonly low: number; readonly high: number },
): Float64Array {
  const { levels, zeroPoint } = form;
  for (let i = 0; i < t.length; i++) {
    const nearest = levels === undefined ? nearestEven(t[i] ?? 0) : nearestLevel(t[i] ?? 0, levels);
    t[i] = limit(nearest + zeroPoint, low, high);
  }
  return t;
}

/** The nearest level of a grid with gaps, the lower one of two. */
function nearestLevel(t: number, levels: readonly number[]): number {
  let best = levels[0] ?? 0;
  for (const level of levels) if (Math.abs(level - t) < Math.abs(best - t)) best = level;
  return best;
}
