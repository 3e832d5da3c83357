/** Rounding as the machines do it that subbyte must agree with: half to even, in float32. */

/** Rounds to the nearest integer, ties to even, like IEEE nearbyint and ONNX Round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const difference = value - floor;
  if (difference < 0.5) return floor;
  if (difference > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The smallest difference that float32 shows next to 1: torch's floor for a scale. */
export const float32Epsilon = 2 ** -23;

/** Limits a value to low..high. */
export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
