/** Plain float32 arithmetic for the integer forms of quantizers: statistics of a group, and rounding to codes. */

import { clamp, roundHalfEven } from "../../base/rounding.ts";
import type { GridUnit, GroupParameters } from "../definition.ts";

const { fround } = Math;

/** A parameter's value for this group. */
export function scalarParameter(parameters: GroupParameters, name: string): number {
  const value = parameters[name];
  if (value === undefined) throw new Error(`the parameter "${name}" is missing`);
  return fround(value);
}

/** Codes that are multiples of the scale, with no zero point and no offset. */
export function unitOf(scale: number): GridUnit {
  return { scale: fround(scale), zeroPoint: 0, offset: 0 };
}

/** The integers from low to high, in steps. */
export function integersBetween(low: number, high: number, step = 1): number[] {
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
}

/** One code for each element. */
export function encodeWith(row: Float32Array, code: (x: number) => number): Int32Array {
  // A loop: Int32Array.from takes ten times as long.
  const codes = new Int32Array(row.length);
  for (let i = 0; i < row.length; i++) codes[i] = code(row[i] ?? 0);
  return codes;
}

/** clamp(round(x·(1/s))) in float32. */
export function roundedQuotient(x: number, scale: number, low: number, high: number): number {
  return roundHalfEven(clamp(fround(x * fround(1 / scale)), low, high));
}

/** The value that a code stands for. */
export function decode(unit: GridUnit, code: number): number {
  const product = fround(unit.scale * (code - unit.zeroPoint));
  return unit.offset === 0 ? product : fround(product + unit.offset);
}

/** Statistics of the elements that share parameters. */
export interface RowStatistics {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly meanMagnitude: number;
  readonly maxMagnitude: number;
  /** Over n − 1, as torch.std. */
  readonly deviation: number;
}

/** Statistics of a group, summed in float64. */
export function statisticsOf(row: Float32Array): RowStatistics {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let magnitudes = 0;
  for (const value of row) {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    magnitudes += Math.abs(value);
  }
  const count = Math.max(row.length, 1);
  const mean = sum / count;
  return {
    min,
    max,
    mean,
    meanMagnitude: magnitudes / count,
    maxMagnitude: row.length === 0 ? 0 : Math.max(-min, max),
    // A second pass over the row, which few quantizers ask for.
    get deviation() {
      let squares = 0;
      for (const value of row) squares += (value - mean) ** 2;
      return Math.sqrt(squares / Math.max(row.length - 1, 1));
    },
  };
}
