/** Layers in plain integers: sums of products of centred codes and weights, one after another. */
import type { IntegerConv, IntegerGemm, IntegerTensor } from "../integer-network.ts";
import { int32, placeInWindow, positionsOf } from "./numbers.ts";

/** acc[k, …] = Σ (q − z)·w over the window; padding adds nothing. @throws RangeError where a sum leaves int32. */
export function interpretConv(
  conv: IntegerConv,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const { name, weight, group } = conv;
  const [, channels = 0, ...sizes] = input.shape;
  const [, outChannels = 0, ...outSizes] = output.shape;
  const [, groupChannels = 0, ...kernel] = weight.shape;
  if (channels !== groupChannels * group) throw new RangeError(`${name}: channels do not fit the groups`);
  const windows = positionsOf(outSizes);
  const taps = positionsOf(kernel);
  const area = sizes.reduce((product, size) => product * size, 1);
  const result = new Float64Array(outChannels * windows.length);
  for (const [p, window] of windows.entries()) {
    for (const [t, tap] of taps.entries()) {
      const place = placeInWindow(conv, sizes, window, tap);
      if (place < 0) continue;
      for (let k = 0; k < outChannels; k++) {
        const firstChannel = Math.floor(k / (outChannels / group)) * groupChannels;
        let sum = result[k * windows.length + p] ?? 0;
        for (let c = 0; c < groupChannels; c++) {
          const code = x[(firstChannel + c) * area + place] ?? 0;
          const w = weight.codes[(k * groupChannels + c) * taps.length + t] ?? 0;
          sum = int32(sum + (code - input.form.zeroPoint) * w, name);
        }
        result[k * windows.length + p] = sum;
      }
    }
  }
  return result;
}

/** acc[…, k] = Σ_c (q[…, c] − z)·w[k, c]. @throws RangeError where a sum leaves int32. */
export function interpretGemm(gemm: IntegerGemm, x: Float64Array, input: IntegerTensor): Float64Array {
  const { name, weight } = gemm;
  const [features = 0, channels = 0] = weight.shape;
  const rows = x.length / channels;
  const result = new Float64Array(rows * features);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < features; k++) {
      let sum = 0;
      for (let c = 0; c < channels; c++) {
        const w = weight.codes[k * channels + c] ?? 0;
        sum = int32(sum + ((x[row * channels + c] ?? 0) - input.form.zeroPoint) * w, name);
      }
      result[row * features + k] = sum;
    }
  }
  return result;
}
