/** The arithmetic of docs/integer.md, in plain numbers. Written for the interpreter alone: it shares no code with what it judges. */
import type { IntegerWeight } from "../integer-network.ts";

/** The nearest integer, halves to the even one. */
export function nearestEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 !== 0)) return below + 1;
  return below;
}

/** Limits x to low..high. */
export function limit(x: number, low: number, high: number): number {
  if (x < low) return low;
  return Math.min(x, high);
}

/** An integer that an int32 can hold. @throws RangeError where it cannot: the range analysis was wrong. */
export function int32(x: number, where: string): number {
  if (x !== (x | 0)) throw new RangeError(`${where}: the accumulator ${x} is not an int32`);
  return x;
}

/** @throws RangeError where a sum of so large codes could leave int32: the range analysis was wrong. */
export function checkReach(codes: Float64Array, { codes: weights, shape }: IntegerWeight, where: string): void {
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
