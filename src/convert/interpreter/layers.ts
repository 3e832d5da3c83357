/** Layers in plain integers: sums of products of centred codes and weights, one after another. */
import type { IntegerConv, IntegerGemm, IntegerTensor } from "../integer-network.ts";
import { int32 } from "./numbers.ts";

/** acc[k, i, j] = Σ (q − z)·w over the window; padding adds nothing. @throws RangeError where a sum leaves int32. */
export function interpretConv(
  conv: IntegerConv,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const { name, weight, group } = conv;
  const [, channels = 0, height = 0, width = 0] = input.shape;
  const [, outChannels = 0, outHeight = 0, outWidth = 0] = output.shape;
  const [, groupChannels = 0] = weight.shape;
  const [kernelHeight = 0, kernelWidth = 0] = conv.kernel;
  const [strideY = 1, strideX = 1] = conv.strides;
  const [dilationY = 1, dilationX = 1] = conv.dilations;
  const [padTop = 0, padLeft = 0] = conv.pads;
  if (channels !== groupChannels * group) throw new RangeError(`${name}: channels do not fit the groups`);
  const result = new Float64Array(outChannels * outHeight * outWidth);
  for (let k = 0; k < outChannels; k++) {
    const firstChannel = Math.floor(k / (outChannels / group)) * groupChannels;
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        let sum = 0;
        for (let c = 0; c < groupChannels; c++) {
          for (let a = 0; a < kernelHeight; a++) {
            for (let b = 0; b < kernelWidth; b++) {
              const row = i * strideY - padTop + a * dilationY;
              const column = j * strideX - padLeft + b * dilationX;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              const code = x[((firstChannel + c) * height + row) * width + column] ?? 0;
              const w = weight.codes[((k * groupChannels + c) * kernelHeight + a) * kernelWidth + b] ?? 0;
              sum = int32(sum + (code - input.form.zeroPoint) * w, name);
            }
          }
        }
        result[(k * outHeight + i) * outWidth + j] = sum;
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
