/** Numbers in words, for the report's pages and axes. */

const prefixes = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** `1.2G`, `340k`, `12`: three significant digits at most. */
export function siNumber(value: number): string {
  const [size, prefix] = prefixes.find(([limit]) => Math.abs(value) >= limit) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${prefix}`;
}

/** `86.4`, in percent; a dash where there is none. */
export function percentOrDash(accuracy: number | null): string {
  return accuracy === null ? "–" : (100 * accuracy).toFixed(1);
}

/** A number as a page shows it; a dash where there is none. */
export function numberOrDash(value: number | null, digits = 0): string {
  return value === null ? "–" : value.toFixed(digits);
}
