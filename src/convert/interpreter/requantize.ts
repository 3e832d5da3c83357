/** The one formula by which integers become codes, and the data's way in; every float operation is rounded to float32. */
import type { Dequantize, IntegerTensor, QuantizeInput, Requantize } from "../integer-network.ts";
import { int32, limit, nearestEven } from "./numbers.ts";

const f32 = Math.fround;

/** q = clamp(rhe(f32(x·r)) + z), x being f32(f32(data·factor) + offset) where they are normalized. */
export function interpretInput(operation: QuantizeInput, data: ArrayLike<number>, output: IntegerTensor): Float64Array {
  const { low, high, zeroPoint } = output.form;
  const [, channels = 1] = output.shape;
  const perChannel = data.length / channels;
  return Float64Array.from(data, (value, i) => {
    const c = Math.floor(i / perChannel);
    const { normalization } = operation;
    const { factor, offset } = normalization ?? {};
    const x = f32(f32(value * (factor?.[c] ?? 1)) + (offset?.[c] ?? 0));
    return limit(nearest(f32(x * operation.reciprocal), output) + zeroPoint, low, high);
  });
}

/** The nearest integer; where a grid has gaps, the nearest of its levels, the lower one of two. */
function nearest(t: number, output: IntegerTensor): number {
  const { levels } = output.form;
  if (levels === undefined) return nearestEven(t);
  let best = levels[0] ?? 0;
  for (const level of levels) if (Math.abs(level - t) < Math.abs(best - t)) best = level;
  return best;
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
    const { zeroPoint } = source.tensor.form;
    for (let k = 0; k < channels; k++) {
      const gain = term.gains[term.gains.length === 1 ? 0 : k] ?? 0;
      const m = term.multiplier ?? f32(f32(term.inputScale * gain) / output.form.scale);
      const bias = term.bias?.[k] ?? 0;
      for (let i = k * perChannel; i < (k + 1) * perChannel; i++) {
        const v = int32(((source.data[i] ?? 0) - zeroPoint) * 2 ** term.shift + bias, operation.name);
        const product = f32(f32(v) * m);
        result[i] = index === 0 ? product : f32((result[i] ?? 0) + product);
      }
    }
  });
  const { offset } = operation;
  if (offset === undefined) return result;
  return result.map((t, i) => f32(t + (offset[Math.floor(i / perChannel)] ?? 0)));
}

export function interpretRequantize(
  operation: Requantize,
  inputs: readonly { readonly data: Float64Array; readonly tensor: IntegerTensor }[],
  output: IntegerTensor,
): Float64Array {
  const { low, high } = operation;
  const { zeroPoint } = output.form;
  return interpretSum(operation, inputs, output).map((t) => limit(nearest(t, output) + zeroPoint, low, high));
}
