/**
 * Layers in plain integers: the codes under a window, and their product with each output channel's weights. Nothing clever,
 * but for gathering a window once for all channels, so that the judge can be asked about a whole test set.
 */
import type { IntegerConv, IntegerGemm, IntegerTensor } from "../integer-network.ts";
import { centred, checkReach, dotProduct, fourDotProducts } from "./numbers.ts";

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
  if (channels !== groupChannels * conv.group) throw new RangeError(`${conv.name}: channels do not fit the groups`);
  const codes = centred(x, input.form.zeroPoint);
  checkReach(codes, conv.weight, conv.name);
  const perGroup = outChannels / conv.group;
  const window = new Int32Array(groupChannels * kernelHeight * kernelWidth);
  const sums = new Float64Array(outChannels * outHeight * outWidth);
  for (let group = 0; group < conv.group; group++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        let place = 0;
        for (let c = group * groupChannels; c < (group + 1) * groupChannels; c++) {
          for (let a = 0; a < kernelHeight; a++) {
            const y = i * strideY - padTop + a * dilationY;
            for (let b = 0; b < kernelWidth; b++) {
              const z = j * strideX - padLeft + b * dilationX;
              const isInside = y >= 0 && y < height && z >= 0 && z < width;
              window[place++] = isInside ? (codes[(c * height + y) * width + z] ?? 0) : 0;
            }
          }
        }
        const end = (group + 1) * perGroup;
        const put = (k: number, sum: number): void => {
          sums[(k * outHeight + i) * outWidth + j] = sum;
        };
        let k = group * perGroup;
        for (; k + 4 <= end; k += 4) {
          fourDotProducts(window, conv.weight.codes, k * window.length).forEach((sum, n) => {
            put(k + n, sum);
          });
        }
        for (; k < end; k++) put(k, dotProduct(window, conv.weight.codes, k * window.length));
      }
    }
  }
  return sums;
}

/** acc[k] = Σ_c (q[c] − z)·w[k, c]. */
export function interpretGemm(gemm: IntegerGemm, x: Float64Array, input: IntegerTensor): Float64Array {
  const [features = 0] = gemm.weight.shape;
  const codes = centred(x, input.form.zeroPoint);
  checkReach(codes, gemm.weight, gemm.name);
  return Float64Array.from({ length: features }, (_, k) => dotProduct(codes, gemm.weight.codes, k * codes.length));
}
