/** The arithmetic of docs/integer.md, in plain numbers. Written for the interpreter alone: it shares no code with what it judges. */

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
