/** Pooling, concatenation and moved elements in plain integers. */
import type {
  ConcatCodes,
  ConstantCodes,
  IntegerTensor,
  MaxPoolCodes,
  MoveCodes,
  ResampleSums,
  SumPool,
} from "../integer-network.ts";
import { type Elements, int32, placeInWindow, positionsOf } from "./numbers.ts";

/** The largest code, or the sum of centred codes, of each window. */
export function interpretPool(
  pool: MaxPoolCodes | SumPool,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const [, channels = 0, ...sizes] = input.shape;
  const [, , ...outSizes] = output.shape;
  const windows = positionsOf(outSizes);
  const taps = positionsOf(pool.kernel);
  const area = sizes.reduce((product, size) => product * size, 1);
  const result = new Float64Array(channels * windows.length);
  for (const [p, window] of windows.entries()) {
    const places = taps.map((tap) => placeInWindow(pool, sizes, window, tap)).filter((place) => place >= 0);
    for (let c = 0; c < channels; c++) {
      const codes = places.map((place) => x[c * area + place] ?? 0);
      const sum = codes.reduce((total, code) => int32(total + code - input.form.zeroPoint, pool.name), 0);
      result[c * windows.length + p] = pool.op === "MaxPoolCodes" ? Math.max(...codes) : sum;
    }
  }
  return result;
}

/** Sums of centred codes, each with the weights of its row and of its column. */
export function interpretResampling(
  { name, axes: [rows, columns] }: ResampleSums,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const [, channels = 0, height = 0, width = 0] = input.shape;
  const [, , outHeight = 0, outWidth = 0] = output.shape;
  const result = new Float64Array(channels * outHeight * outWidth);
  let position = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        let sum = 0;
        for (let a = i * rows.taps; a < (i + 1) * rows.taps; a++) {
          for (let b = j * columns.taps; b < (j + 1) * columns.taps; b++) {
            const place = (c * height + (rows.places[a] ?? 0)) * width + (columns.places[b] ?? 0);
            const weight = (rows.weights[a] ?? 0) * (columns.weights[b] ?? 0);
            sum = int32(sum + ((x[place] ?? 0) - input.form.zeroPoint) * weight, name);
          }
        }
        result[position++] = sum;
      }
    }
  }
  return result;
}

/** The codes of a constant, one code being everywhere. */
export function interpretConstant({ codes }: ConstantCodes, output: IntegerTensor): Float64Array {
  const count = output.shape.reduce((product, size) => product * size, 1);
  return Float64Array.from({ length: count }, (_, i) => codes[codes.length === 1 ? 0 : i] ?? 0);
}

/** The inputs one after another along an axis. */
export function interpretConcat(concat: ConcatCodes, xs: readonly Elements[], output: IntegerTensor): Float64Array {
  const outer = output.shape.slice(0, concat.axis).reduce((product, size) => product * size, 1);
  const result = new Float64Array(output.shape.reduce((product, size) => product * size, 1));
  let position = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data } of xs) {
      const part = data.length / outer;
      for (let i = 0; i < part; i++) result[position++] = data[o * part + i] ?? 0;
    }
  }
  return result;
}

/** y[i, j, …] = x[places[0][i] + places[1][j] + …], or the padding's code where one of them is −1. */
export function interpretMove({ places, fill }: MoveCodes, x: Float64Array): Float64Array {
  const result: number[] = [];
  const visit = (axis: number, place: number): void => {
    const list = places[axis];
    if (list === undefined) result.push(place < 0 ? fill : (x[place] ?? fill));
    else for (const step of list) visit(axis + 1, place < 0 || step < 0 ? -1 : place + step);
  };
  visit(0, 0);
  return Float64Array.from(result);
}
