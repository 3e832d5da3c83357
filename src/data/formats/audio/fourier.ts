/** Fourier transforms of any length: the algorithm of Cooley and Tukey (1965) over the prime factors of the length. */

/** Complex numbers. */
interface Complex {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

/**
 * Returns a function that computes |X_k|² of real numbers x for k = 0 … ⌊n/2⌋, with X_k = Σ_t x_t e^(−2πikt/n).
 *
 * @param length The number n of values; what lies beyond it is not read.
 *
 * @example
 * console.log(powerSpectrumOf(4)(Float64Array.of(1, 1, 1, 1))); // [16, 0, 0]
 */
export function powerSpectrumOf(length: number): (values: Float64Array) => Float64Array {
  const angles = Array.from({ length }, (_, i) => (-2 * Math.PI * i) / length);
  const roots = { real: Float64Array.from(angles, Math.cos), imaginary: Float64Array.from(angles, Math.sin) };
  const result = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  const scratch = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  return (values) => {
    transform(values, { start: 0, step: 1, length, to: 0 }, roots, result, scratch);
    return Float64Array.from(
      { length: Math.floor(length / 2) + 1 },
      (_, k) => (result.real[k] ?? 0) ** 2 + (result.imaginary[k] ?? 0) ** 2,
    );
  };
}

/** Every step-th value from the start on, whose transform goes to a place of the result. */
interface Part {
  readonly start: number;
  readonly step: number;
  readonly length: number;
  readonly to: number;
}

function transform(values: Float64Array, part: Part, roots: Complex, result: Complex, scratch: Complex): void {
  const { start, step, length, to } = part;
  if (length <= 1) {
    result.real[to] = values[start] ?? 0;
    result.imaginary[to] = 0;
    return;
  }
  const radix = smallestFactor(length);
  const rows = length / radix;
  for (let r = 0; r < radix; r++) {
    const own = { start: start + r * step, step: step * radix, length: rows, to: to + r * rows };
    transform(values, own, roots, result, scratch);
  }
  for (let k = 0; k < length; k++) {
    let [real, imaginary] = [0, 0];
    for (let r = 0; r < radix; r++) {
      // The roots of unity of this length are every step-th one.
      const root = ((k * r) % length) * step;
      const place = to + r * rows + (k % rows);
      const [c, s] = [roots.real[root] ?? 0, roots.imaginary[root] ?? 0];
      const [a, b] = [result.real[place] ?? 0, result.imaginary[place] ?? 0];
      real += a * c - b * s;
      imaginary += a * s + b * c;
    }
    scratch.real[k] = real;
    scratch.imaginary[k] = imaginary;
  }
  for (let k = 0; k < length; k++) {
    result.real[to + k] = scratch.real[k] ?? 0;
    result.imaginary[to + k] = scratch.imaginary[k] ?? 0;
  }
}

function smallestFactor(length: number): number {
  for (let factor = 2; factor * factor <= length; factor++) if (length % factor === 0) return factor;
  return length;
}
