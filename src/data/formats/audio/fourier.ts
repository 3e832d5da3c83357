/** Fourier transforms of any length: the algorithm of Cooley and Tukey (1965) over the prime factors of the length. */

/** Complex numbers. */
interface Complex {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
}

/**
 * Returns |X_k|² of real numbers x for k = 0 … ⌊n/2⌋, with X_k = Σ_t x_t e^(−2πikt/n).
 *
 * @example
 * console.log(powerSpectrum(Float64Array.of(1, 1, 1, 1))); // [16, 0, 0]
 */
export function powerSpectrum(values: Float64Array): Float64Array {
  const { length } = values;
  const angles = Array.from({ length }, (_, i) => (-2 * Math.PI * i) / length);
  const roots = { real: Float64Array.from(angles, Math.cos), imaginary: Float64Array.from(angles, Math.sin) };
  const { real, imaginary } = transformed({ real: values, imaginary: new Float64Array(length) }, roots, 1);
  return Float64Array.from(
    { length: Math.floor(length / 2) + 1 },
    (_, k) => (real[k] ?? 0) ** 2 + (imaginary[k] ?? 0) ** 2,
  );
}

/** @param step The roots of unity for this length are every step-th of `roots`. */
function transformed(values: Complex, roots: Complex, step: number): Complex {
  const { length } = values.real;
  if (length <= 1) return values;
  const radix = smallestFactor(length);
  const rows = length / radix;
  const parts = Array.from({ length: radix }, (_, r) => {
    const pick = (all: Float64Array) => Float64Array.from({ length: rows }, (_, i) => all[i * radix + r] ?? 0);
    return transformed({ real: pick(values.real), imaginary: pick(values.imaginary) }, roots, step * radix);
  });
  const result = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  for (let k = 0; k < length; k++) {
    let [real, imaginary] = [0, 0];
    for (const [r, part] of parts.entries()) {
      const root = ((k * r) % length) * step;
      const [c, s] = [roots.real[root] ?? 0, roots.imaginary[root] ?? 0];
      const [a, b] = [part.real[k % rows] ?? 0, part.imaginary[k % rows] ?? 0];
      real += a * c - b * s;
      imaginary += a * s + b * c;
    }
    result.real[k] = real;
    result.imaginary[k] = imaginary;
  }
  return result;
}

function smallestFactor(length: number): number {
  for (let factor = 2; factor * factor <= length; factor++) if (length % factor === 0) return factor;
  return length;
}
