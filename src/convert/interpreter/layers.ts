/** Layers in plain integers: loops over every output, window and channel, nothing clever. */
import type { IntegerConv, IntegerGemm, IntegerTensor } from "../integer-network.ts";
import { int32 } from "./numbers.ts";

/** acc[k, i, j] = Σ (q − z)·w over the window; padding adds nothing. */
export function interpretConv(
  conv: IntegerConv,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const [, channels = 0, height = 0, width = 0] = input.shape;
  const [, outChannels = 0, outHeight = 0, outWidth = 0] = output.shape;
  const [, groupChannels = 0, kernelHeight = 0, kernelWidth = 0] = conv.weight.shape;
  const [strideY = 1, strideX = 1] = conv.strides;
  const [dilationY = 1, dilationX = 1] = conv.dilations;
  const [padTop = 0, padLeft = 0] = conv.pads;
  const { zeroPoint } = input.form;
  const perGroup = outChannels / conv.group;
  if (channels !== groupChannels * conv.group) throw new RangeError(`${conv.name}: channels do not fit the groups`);
  const result = new Float64Array(outChannels * outHeight * outWidth);
  let position = 0;
  for (let k = 0; k < outChannels; k++) {
    const firstChannel = Math.floor(k / perGroup) * groupChannels;
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        let sum = 0;
        for (let c = 0; c < groupChannels; c++) {
          for (let a = 0; a < kernelHeight; a++) {
            for (let b = 0; b < kernelWidth; b++) {
              const y = i * strideY - padTop + a * dilationY;
              const z = j * strideX - padLeft + b * dilationX;
              if (y < 0 || y >= height || z < 0 || z >= width) continue;
              const code = x[((firstChannel + c) * height + y) * width + z] ?? 0;
              const weight = conv.weight.codes[((k * groupChannels + c) * kernelHeight + a) * kernelWidth + b] ?? 0;
              sum = int32(sum + (code - zeroPoint) * weight, conv.name);
            }
          }
        }
        result[position++] = sum;
      }
    }
  }
  return result;
}

/** acc[k] = Σ_c (q[c] − z)·w[k, c]. */
export function interpretGemm(gemm: IntegerGemm, x: Float64Array, input: IntegerTensor): Float64Array {
  const [features = 0, channels = 0] = gemm.weight.shape;
  const result = new Float64Array(features);
  for (let k = 0; k < features; k++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      const code = (x[c] ?? 0) - input.form.zeroPoint;
      sum = int32(sum + code * (gemm.weight.codes[k * channels + c] ?? 0), gemm.name);
    }
    result[k] = sum;
  }
  return result;
}
