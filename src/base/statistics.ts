/** Numbers that describe a sample. Plain functions; sums are taken in float64. */

/** The value below which a share `fraction` of the sample lies; linear between the two nearest (as numpy does). */
export function quantile(sorted: ArrayLike<number>, fraction: number): number {
  if (sorted.length === 0) return Number.NaN;
  const position = fraction * (sorted.length - 1);
  const low = Math.floor(position);
  const below = sorted[low] ?? Number.NaN;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] ?? Number.NaN;
  return below + (above - below) * (position - low);
}

/** Returns the median; NaN for no values. */
export function median(values: ArrayLike<number>): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/** Returns the arithmetic mean; NaN for no values. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return values.length === 0 ? Number.NaN : sum / values.length;
}

/** √(mean of the squares). */
export function rootMeanSquare(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) ** 2;
  return values.length === 0 ? Number.NaN : Math.sqrt(sum / values.length);
}

/** a·b/(‖a‖·‖b‖); NaN where one of them is 0. */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let dot = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    dot += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return dot / Math.sqrt(squaresA * squaresB);
}

/** The fourth central moment over the squared variance: 3 for a normal distribution. */
export function kurtosis(values: ArrayLike<number>): number {
  const centre = mean(values);
  let second = 0;
  let fourth = 0;
  for (let i = 0; i < values.length; i++) {
    const square = ((values[i] ?? 0) - centre) ** 2;
    second += square;
    fourth += square * square;
  }
  return (values.length * fourth) / (second * second);
}

/** Entropy of a histogram, in bits. */
export function entropyOfCounts(counts: Iterable<number>): number {
  const list = [...counts].filter((count) => count > 0);
  const total = list.reduce((sum, count) => sum + count, 0);
  return list.reduce((sum, count) => sum - (count / total) * Math.log2(count / total), 0);
}

/** Signal to quantization noise, 10·log10(Σx²/Σ(x − y)²), in dB; +∞ where nothing was lost. */
export function signalToNoise(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < x.length; i++) {
    const value = x[i] ?? 0;
    signal += value * value;
    noise += (value - (y[i] ?? 0)) ** 2;
  }
  return decibels(signal, noise);
}

/** 10·log10(signal/noise). */
export function decibels(signal: number, noise: number): number {
  if (noise === 0) return signal === 0 ? Number.NaN : Number.POSITIVE_INFINITY;
  return 10 * Math.log10(signal / noise);
}

/** Counts in `bins` equal bins from low to high; what lies outside counts in the bins at the ends. */
export function countsByBin(values: ArrayLike<number>, low: number, high: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  const width = (high - low) / bins;
  for (let i = 0; i < values.length; i++) {
    const bin = width > 0 ? Math.floor(((values[i] ?? 0) - low) / width) : 0;
    const clamped = Math.min(bins - 1, Math.max(0, bin));
    counts[clamped] = (counts[clamped] ?? 0) + 1;
  }
  return counts;
}

/** How often each value occurs. */
export function countValues(values: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * KL(batch ‖ running) of two normal distributions, in nats: what batch normalization by running statistics assumes,
 * against what the batch holds.
 */
export function normalDivergence(
  batch: { readonly mean: number; readonly variance: number },
  running: { readonly mean: number; readonly variance: number },
): number {
  const epsilon = 1e-5;
  const ratio = (batch.variance + epsilon) / (running.variance + epsilon);
  const shift = (batch.mean - running.mean) ** 2 / (running.variance + epsilon);
  return 0.5 * (ratio + shift - 1 - Math.log(ratio));
}
