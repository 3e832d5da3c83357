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
import { type Elements, int32 } from "./numbers.ts";

/** The largest code, or the sum of centred codes, of each window. */
export function interpretPool(
  pool: MaxPoolCodes | SumPool,
  x: Float64Array,
  input: IntegerTensor,
  output: IntegerTensor,
): Float64Array {
  const [, channels = 0, height = 0, width = 0] = input.shape;
  const [, , outHeight = 0, outWidth = 0] = output.shape;
  const [kernelHeight = 0, kernelWidth = 0] = pool.kernel;
  const [strideY = 1, strideX = 1] = pool.strides;
  const [dilationY = 1, dilationX = 1] = pool.dilations;
  const [padTop = 0, padLeft = 0] = pool.pads;
  const result = new Float64Array(channels * outHeight * outWidth);
  let position = 0;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++) {
        let sum = 0;
        let largest = Number.NEGATIVE_INFINITY;
        for (let a = 0; a < kernelHeight; a++) {
          for (let b = 0; b < kernelWidth; b++) {
            const y = i * strideY - padTop + a * dilationY;
            const z = j * strideX - padLeft + b * dilationX;
            if (y < 0 || y >= height || z < 0 || z >= width) continue;
            const code = x[(c * height + y) * width + z] ?? 0;
            largest = Math.max(largest, code);
            sum = int32(sum + code - input.form.zeroPoint, pool.name);
          }
        }
        result[position++] = pool.op === "MaxPoolCodes" ? largest : sum;
      }
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
