/** The figure that the benches give for several measurements of one thing. */

/** The middle one in order; of an even number the one above the middle, which was measured too. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
