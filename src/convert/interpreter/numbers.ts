/** The arithmetic of docs/integer.md, in plain numbers. Written for the interpreter alone: it shares no code with what it judges. */
import type { IntegerWeight } from "../integer-network.ts";

/** The nearest integer, halves to the even one. */
export function nearestEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 !== 0)) return below + 1;
  return below;
}

export function limit(x: number, low: number, high: number): number {
  if (x < low) return low;
  return Math.min(x, high);
}

/** An integer that an int32 can hold. @throws RangeError where it cannot: the range analysis was wrong. */
export function int32(x: number, where: string): number {
  if (x !== (x | 0)) throw new RangeError(`${where}: the accumulator ${x} is not an int32`);
  return x;
}

/** Codes less their zero point. */
export function centred(codes: Float64Array, zeroPoint: number): Int32Array {
  const result = new Int32Array(codes.length);
  for (let i = 0; i < codes.length; i++) result[i] = (codes[i] ?? 0) - zeroPoint;
  return result;
}

/** Σ window[n]·weights[from + n] in int32. */
export function dotProduct(window: Int32Array, weights: Int32Array, from: number): number {
  let sum = 0;
  for (let n = 0; n < window.length; n++) sum = (sum + Math.imul(window[n] ?? 0, weights[from + n] ?? 0)) | 0;
  return sum;
}

/** `dotProduct` with four rows of weights that follow each other: one sum alone leaves the processor waiting for itself. */
export function fourDotProducts(
  window: Int32Array,
  weights: Int32Array,
  from: number,
): [number, number, number, number] {
  const { length } = window;
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let n = 0; n < length; n++) {
    const code = window[n] ?? 0;
    a = (a + Math.imul(code, weights[from + n] ?? 0)) | 0;
    b = (b + Math.imul(code, weights[from + length + n] ?? 0)) | 0;
    c = (c + Math.imul(code, weights[from + 2 * length + n] ?? 0)) | 0;
    d = (d + Math.imul(code, weights[from + 3 * length + n] ?? 0)) | 0;
  }
  return [a, b, c, d];
}

/** @throws RangeError where a sum of so large codes could leave int32: the range analysis was wrong. */
export function checkReach(codes: Int32Array, { codes: weights, shape }: IntegerWeight, where: string): void {
  const [channels = 0] = shape;
  const length = weights.length / channels;
  const largest = codes.reduce((max, code) => Math.max(max, Math.abs(code)), 0);
  for (let k = 0; k < channels; k++) {
    const weight = weights.subarray(k * length, (k + 1) * length).reduce((sum, w) => sum + Math.abs(w), 0);
    int32(largest * weight, where);
  }
}
