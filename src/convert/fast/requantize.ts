/** The formula by which integers become codes, channel by channel and in place. */
import type { Dequantize, IntegerTensor, Requantize } from "../integer-network.ts";
import { type Elements, int32, limit, nearestEven, roundToLevel } from "../interpreter/numbers.ts";

const f32 = Math.fround;

/** The sum of an operation's terms for every element: in float, before any rounding to an integer. */
export function fastSum(
  operation: Requantize | Dequantize,
  inputs: readonly Elements[],
  output: IntegerTensor,
): Float64Array {
  const { axis } = operation;
  const [channels = 1, ...within] = output.shape.slice(axis);
  const perChannel = within.reduce((product, size) => product * size, 1);
  const count = output.shape.reduce((product, size) => product * size, 1);
  const result = new Float64Array(count);
  operation.terms.forEach((term, index) => {
    const source = inputs[index];
    if (source === undefined) throw new RangeError(`${operation.name}: term ${index} has no input`);
    const { data, tensor } = source;
    const { kind, zeroPoint } = tensor.form;
    const unit = 2 ** term.shift;
    for (let i = 0; i < count; ) {
      const k = (i / perChannel) % channels;
      const gain = term.gains[term.gains.length === 1 ? 0 : k] ?? 0;
      const m = term.multiplier ?? f32(f32(term.inputScale * gain) / output.form.scale);
      const bias = term.bias?.[k] ?? 0;
      for (const end = i + perChannel; i < end; i++) {
        const number = ((data[i] ?? 0) - zeroPoint) * unit + bias;
        const v = kind === "quotient" ? number : int32(number, operation.name);
        const product = f32(f32(v) * m);
        result[i] = index === 0 ? product : f32((result[i] ?? 0) + product);
      }
    }
  });
  const { offset } = operation;
  if (offset === undefined) return result;
  return result.map((t, i) => f32(t + (offset[Math.floor(i / perChannel) % channels] ?? 0)));
}

/** The codes of a requantization, as the simulation rounds them. */
export function fastRequantize(
  operation: Requantize,
  inputs: readonly Elements[],
  output: IntegerTensor,
): Float64Array {
  return codesOf(fastSum(operation, inputs, output), output, operation);
}

/** clamp(nearest(t) + z), written over t. */
function codesOf(
  t: Float64Array,
  { form }: IntegerTensor,
  { low, high }: { readonly low: number; readonly high: number },
): Float64Array {
  const { levels, zeroPoint } = form;
  for (let i = 0; i < t.length; i++) {
    const nearest = levels === undefined ? nearestEven(t[i] ?? 0) : roundToLevel(t[i] ?? 0, levels);
    t[i] = limit(nearest + zeroPoint, low, high);
  }
  return t;
}
