/**
 * Writes a share, 0 to 1, in percent: `86.4 %`.
 *
 * @param digits Digits after the point; one when not given.
 */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}
