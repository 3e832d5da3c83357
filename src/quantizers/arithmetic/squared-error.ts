/** The squared error of evenly spaced levels in one pass: the search for a range tries a hundred of them for each row. */

const { fround } = Math;

/** Levels scale·code + offset for the whole numbers from low to high. */
export interface EvenGrid {
  /** A float32. */
  readonly scale: number;
  readonly offset: number;
  readonly low: number;
  readonly high: number;
}

/** Added and taken off again, it rounds a float64 of less than 2^51 half to even. */
const rounder = 1.5 * 2 ** 52;

/** Elements between two comparisons with the limit. */
const stretch = 64;

/**
 * Returns the mean squared error of a row whose codes are round(clip((x − offset)·(1/scale))), summed in the row's order.
 *
 * The numbers are those of `encode` and `decode`, to the last bit. A sum of squares only grows, so the rest of a row whose
 * first elements reach the limit need not be seen.
 *
 * @param limit An error from here on is returned as a number that is at least the limit, and at most the error.
 */
export function evenGridError(row: Float32Array, { scale, offset, low, high }: EvenGrid, limit: number): number {
  const count = row.length;
  const inverse = fround(1 / scale);
  let sum = 0;
  for (let start = 0; start < count; start += stretch) {
    const end = Math.min(start + stretch, count);
    for (let i = start; i < end; i++) {
      const x = row[i] ?? 0;
      const quotient = fround(fround(x - offset) * inverse);
      const clipped = quotient < low ? low : quotient > high ? high : quotient;
      const code = clipped + rounder - rounder;
      const product = fround(scale * code);
      const difference = (offset === 0 ? product : fround(product + offset)) - x;
      sum += difference * difference;
    }
    if (sum / count >= limit) break;
  }
  return sum / Math.max(count, 1);
}
