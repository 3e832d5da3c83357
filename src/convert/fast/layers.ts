/**
 * Layers as fast as plain JavaScript makes them: two channels of weights times four windows at a time, because one sum alone
 * leaves the processor waiting for itself. The sums are integers that float64 holds exactly, so their order does not matter.
 */
import type { IntegerConv, IntegerGemm, IntegerTensor, IntegerWeight, WindowGeometry } from "../integer-network.ts";
import { interpretConv } from "../interpreter/layers.ts";
import { int32 } from "../interpreter/numbers.ts";

/** acc[k, i, j] = Σ (q − z)·w over the window; padding adds nothing. @throws RangeError where a sum could leave int32. */
export function fastConv(
  conv: IntegerConv,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  if (conv.kernel.length !== 2) return interpretConv(conv, x, input, output);
  const { name, weight, group } = conv;
  const [, channels = 0] = input.shape;
  const [, outChannels = 0] = output.shape;
  const [, groupChannels = 0] = weight.shape;
  if (channels !== groupChannels * group) throw new RangeError(`${name}: channels do not fit the groups`);
  const image = padded(x, input, conv);
  checkReach(image.codes, weight, name);
  const window = windowPlaces(image, groupChannels, conv);
  const starts = windowStarts(image, output, conv);
  const codes = partsOf(image.codes, group);
  const weights = partsOf(Float64Array.from(weight.codes), outChannels);
  const sums = new Float64Array(outChannels * starts.length);
  const planes = partsOf(sums, outChannels);
  const perGroup = outChannels / group;
  codes.forEach((part, g) => {
    const [from, to] = [g * perGroup, (g + 1) * perGroup];
    addProducts(part, window, starts, weights.slice(from, to), planes.slice(from, to));
  });
  return sums;
}

/** acc[…, k] = Σ_c (q[…, c] − z)·w[k, c]. @throws RangeError where a sum could leave int32. */
export function fastGemm(gemm: IntegerGemm, x: Float64Array, input: IntegerTensor): Float64Array {
  const { name, weight } = gemm;
  const [features = 0, channels = 1] = weight.shape;
  const codes = x.map((code) => code - input.form.zeroPoint);
  checkReach(codes, weight, name);
  const weights = partsOf(Float64Array.from(weight.codes), features);
  const rows = codes.length / channels;
  const sums = new Float64Array(features * rows);
  const starts = Int32Array.from({ length: rows }, (_, row) => row * channels);
  const window = Int32Array.from({ length: channels }, (_, c) => c);
  addProducts(codes, window, starts, weights, partsOf(sums, features));
  if (rows === 1) return sums;
  return Float64Array.from(sums, (_, i) => sums[(i % features) * rows + Math.floor(i / features)] ?? 0);
}

interface Image {
  readonly codes: Float64Array;
  readonly height: number;
  readonly width: number;
}

/** Centred codes with a border of zeros: padding is the real number 0. */
function padded(x: Float64Array, { shape, form }: IntegerTensor, { pads }: WindowGeometry): Image {
  const [, channels = 0, height = 0, width = 0] = shape;
  const [top = 0, left = 0, bottom = 0, right = 0] = pads;
  const [tall, wide] = [height + top + bottom, width + left + right];
  const codes = new Float64Array(channels * tall * wide);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height; i++) {
      const from = (c * height + i) * width;
      const to = (c * tall + top + i) * wide + left;
      for (let j = 0; j < width; j++) codes[to + j] = (x[from + j] ?? 0) - form.zeroPoint;
    }
  }
  return { codes, height: tall, width: wide };
}

/** The offsets of the codes in a window from its first code, in the order of a channel's weights. */
function windowPlaces({ height, width }: Image, channels: number, { kernel, dilations }: WindowGeometry): Int32Array {
  const [tall = 0, wide = 0] = kernel;
  const [dilationY = 1, dilationX = 1] = dilations;
  const places: number[] = [];
  for (let c = 0; c < channels; c++) {
    for (let a = 0; a < tall; a++) {
      for (let b = 0; b < wide; b++) places.push((c * height + a * dilationY) * width + b * dilationX);
    }
  }
  return Int32Array.from(places);
}

/** The offset of each window in a plane of the image, in the order of the sums. */
function windowStarts({ width }: Image, { shape }: IntegerTensor, { strides }: WindowGeometry): Int32Array {
  const [, , rows = 0, columns = 0] = shape;
  const [strideY = 1, strideX = 1] = strides;
  return Int32Array.from({ length: rows * columns }, (_, p) => {
    const i = Math.floor(p / columns);
    return i * strideY * width + (p - i * columns) * strideX;
  });
}

/** Equal parts of an array: one for each channel, or for each group of channels. */
function partsOf(data: Float64Array, count: number): Float64Array[] {
  const length = data.length / count;
  return Array.from({ length: count }, (_, k) => data.subarray(k * length, (k + 1) * length));
}

/** sums[k][p] = Σ_n image[starts[p] + window[n]]·weights[k][n], for two channels and four windows at a time. */
function addProducts(
  image: Float64Array,
  window: Int32Array,
  starts: Int32Array,
  weights: readonly Float64Array[],
  sums: readonly Float64Array[],
): void {
  const { length } = window;
  const last = starts.length - 1;
  for (let k = 0; k < weights.length; k += 2) {
    const [weightsA, weightsB] = twoFrom(weights, k);
    const [sumsA, sumsB] = twoFrom(sums, k);
    // Where fewer than four windows are left, the last one is done again; and so are channels.
    for (let p0 = 0; p0 <= last; p0 += 4) {
      const p1 = Math.min(p0 + 1, last);
      const p2 = Math.min(p0 + 2, last);
      const p3 = Math.min(p0 + 3, last);
      const start0 = starts[p0] ?? 0;
      const start1 = starts[p1] ?? 0;
      const start2 = starts[p2] ?? 0;
      const start3 = starts[p3] ?? 0;
      let a0 = 0;
      let a1 = 0;
      let a2 = 0;
      let a3 = 0;
      let b0 = 0;
      let b1 = 0;
      let b2 = 0;
      let b3 = 0;
      for (let n = 0; n < length; n++) {
        const place = window[n] ?? 0;
        const x0 = image[start0 + place] ?? 0;
        const x1 = image[start1 + place] ?? 0;
        const x2 = image[start2 + place] ?? 0;
        const x3 = image[start3 + place] ?? 0;
        const a = weightsA[n] ?? 0;
        const b = weightsB[n] ?? 0;
        a0 += x0 * a;
        a1 += x1 * a;
        a2 += x2 * a;
        a3 += x3 * a;
        b0 += x0 * b;
        b1 += x1 * b;
        b2 += x2 * b;
        b3 += x3 * b;
      }
      sumsA[p0] = a0;
      sumsA[p1] = a1;
      sumsA[p2] = a2;
      sumsA[p3] = a3;
      sumsB[p0] = b0;
      sumsB[p1] = b1;
      sumsB[p2] = b2;
      sumsB[p3] = b3;
    }
  }
}

/** Two arrays from the k-th on; where there is only one left, that one twice. */
function twoFrom(all: readonly Float64Array[], k: number): readonly [Float64Array, Float64Array] {
  const here = all[k] ?? new Float64Array(0);
  return [here, all[k + 1] ?? here];
}

/** @throws RangeError where sums of codes as large as the largest could leave int32: the range analysis was wrong. */
function checkReach(codes: Float64Array, { codes: weights, shape }: IntegerWeight, where: string): void {
  let largest = 0;
  for (let i = 0; i < codes.length; i++) largest = Math.max(largest, Math.abs(codes[i] ?? 0));
  const [channels = 0] = shape;
  const length = weights.length / channels;
  for (let k = 0; k < channels; k++) {
    let reach = 0;
    for (let n = k * length; n < (k + 1) * length; n++) reach += Math.abs(weights[n] ?? 0);
    int32(largest * reach, where);
  }
}
