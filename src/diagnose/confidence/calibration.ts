/**
 * From the score of a rule to the confidence that is printed: of findings at 80 %, 80 % are true. Measured on the battery's seeds 1
 * and 2 (`bench/diagnosis/battery.ts`): low scores come from symptoms that many healthy runs show too.
 */

/** Score and share of the findings with this score that named the fault of their run; between them it is linear. */
const points: readonly (readonly [score: number, confidence: number])[] = [
  [0, 0],
  [0.4, 0.08],
  [0.5, 0.25],
  [0.58, 0.4],
  [0.62, 0.6],
  [0.93, 0.93],
  [1, 1],
];

/**
 * Returns the confidence for a score, 0 to 1 both.
 *
 * @example
 * console.log(calibrated(0.2), calibrated(0.9) > 0.85); // 0.04 true
 */
export function calibrated(score: number): number {
  for (const [i, [high, confidence]] of points.entries()) {
    const [low, least] = points[i - 1] ?? [0, 0];
    if (score > high) continue;
    return high === low ? confidence : least + ((score - low) / (high - low)) * (confidence - least);
  }
  return 1;
}
