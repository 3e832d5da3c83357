/**
 * Sizes that depend on the batch: polynomials in its size with whole coefficients, as `batch`, `197·batch` or `batch + 1`.
 *
 * A file that leaves the batch open computes with it: it reads the shape of an input and writes parts of it into reshapes.
 * Such a file is read with a symbol for the batch, so that a size that depends on it is never taken for a number.
 */

/** c₀ + c₁·batch + c₂·batch² + …; the last coefficient is not zero, and there are at least two. */
export interface BatchSize {
  readonly coefficients: readonly number[];
}

/** A size of an axis, or an integer that was computed from sizes. */
export type Dimension = number | BatchSize;

/** Sizes that may depend on the batch. */
export type Dimensions = readonly Dimension[];

/** The size of the batch itself. */
export const batchSymbol: BatchSize = { coefficients: [0, 1] };

/** Whether a size depends on the batch. */
export function isSymbolic(size: Dimension | undefined): size is BatchSize {
  return typeof size === "object";
}

function coefficientsOf(size: Dimension): readonly number[] {
  return typeof size === "number" ? [size] : size.coefficients;
}

/** The size with these coefficients; a number where only the first is not zero. */
function fromCoefficients(coefficients: readonly number[]): Dimension {
  const length = coefficients.findLastIndex((coefficient) => coefficient !== 0) + 1;
  if (length <= 1) return coefficients[0] ?? 0;
  return { coefficients: coefficients.slice(0, length) };
}

/** Returns the sum of two sizes. */
export function plus(a: Dimension, b: Dimension): Dimension {
  const [left, right] = [coefficientsOf(a), coefficientsOf(b)];
  const length = Math.max(left.length, right.length);
  return fromCoefficients(Array.from({ length }, (_, power) => (left[power] ?? 0) + (right[power] ?? 0)));
}

/** Returns the product of two sizes. */
export function times(a: Dimension, b: Dimension): Dimension {
  const [left, right] = [coefficientsOf(a), coefficientsOf(b)];
  const product = new Array<number>(left.length + right.length - 1).fill(0);
  left.forEach((x, i) => {
    right.forEach((y, j) => {
      product[i + j] = (product[i + j] ?? 0) + x * y;
    });
  });
  return fromCoefficients(product);
}

/** Returns the difference of two sizes. */
export function minus(a: Dimension, b: Dimension): Dimension {
  return plus(a, times(b, -1));
}

/** a/b where it is whole for every batch, as a polynomial; undefined otherwise. */
export function quotient(a: Dimension, b: Dimension): Dimension | undefined {
  const divisor = coefficientsOf(b);
  const leading = divisor.at(-1) ?? 0;
  if (leading === 0) return undefined;
  const rest = [...coefficientsOf(a)];
  const result = new Array<number>(Math.max(1, rest.length - divisor.length + 1)).fill(0);
  for (let power = rest.length - divisor.length; power >= 0; power--) {
    const factor = (rest[power + divisor.length - 1] ?? 0) / leading;
    if (!Number.isInteger(factor)) return undefined;
    result[power] = factor;
    divisor.forEach((coefficient, i) => {
      rest[power + i] = (rest[power + i] ?? 0) - factor * coefficient;
    });
  }
  return rest.every((coefficient) => coefficient === 0) ? fromCoefficients(result) : undefined;
}

/** Returns whether two sizes are equal for every batch. */
export function sameSize(a: Dimension | undefined, b: Dimension | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const difference = minus(a, b);
  return difference === 0;
}

/** Returns whether two shapes are equal for every batch. */
export function sameSizes(a: Dimensions, b: Dimensions): boolean {
  return a.length === b.length && a.every((size, i) => sameSize(size, b[i]));
}

/** The product of sizes: the number of elements of a shape. */
export function productOf(sizes: Dimensions): Dimension {
  return sizes.reduce<Dimension>(times, 1);
}

/** The size for a batch. */
export function sizeAt(size: Dimension, batch: number): number {
  return coefficientsOf(size).reduceRight((sum, coefficient) => sum * batch + coefficient, 0);
}

/** Returns the shape for one batch size. */
export function shapeAt(sizes: Dimensions, batch: number): number[] {
  return sizes.map((size) => sizeAt(size, batch));
}

/** The sizes as numbers, or undefined where one depends on the batch. */
export function numbersIn(sizes: Dimensions): number[] | undefined {
  const numbers = sizes.filter((size) => typeof size === "number");
  return numbers.length === sizes.length ? numbers : undefined;
}

/** Returns the sign of a size for every batch of at least one sample. */
export type Sign = "zero" | "positive" | "negative" | "not negative" | "not positive" | undefined;

/** The sign for every batch: that of all coefficients in the number of samples after the first, where they share one. */
export function signOf(size: Dimension): Sign {
  const shifted = afterFirst(coefficientsOf(size));
  if (shifted.every((coefficient) => coefficient === 0)) return "zero";
  const isStrict = shifted[0] !== 0;
  if (shifted.every((coefficient) => coefficient >= 0)) return isStrict ? "positive" : "not negative";
  if (shifted.every((coefficient) => coefficient <= 0)) return isStrict ? "negative" : "not positive";
  return undefined;
}

/** The coefficients of p(1 + t). */
function afterFirst(coefficients: readonly number[]): readonly number[] {
  const onePlus: BatchSize = { coefficients: [1, 1] };
  return coefficientsOf(coefficients.reduceRight<Dimension>((sum, each) => plus(times(sum, onePlus), each), 0));
}

/** Batches at which sizes are looked at: even and odd ones, small ones, and one beyond the limits that graphs state. */
export const sampledBatches: readonly number[] = [1, 2, 3, 4, 5, 7, 12, 31, 64, 1009, 100_000];

const mostPowers = 4;

/** The polynomial that has these values at the sampled batches; undefined where none of a small degree has. */
export function fitSize(values: readonly number[]): Dimension | undefined {
  const [first] = values;
  if (first === undefined) return undefined;
  if (values.every((value) => value === first)) return first;
  // Newton's form: differences of the values at 1, 2, 3 and 4.
  let differences: readonly number[] = values.slice(0, mostPowers);
  let basis: readonly number[] = [1];
  let sum: readonly number[] = [];
  for (let power = 0; power < mostPowers; power++) {
    const factor = differences[0] ?? 0;
    sum = added(sum, basis, factor);
    differences = differences.slice(1).map((value, i) => value - (differences[i] ?? 0));
    basis = dividedBinomial(basis, power + 1);
  }
  const coefficients = sum.map((coefficient) => Math.round(coefficient));
  if (sum.some((coefficient, i) => Math.abs(coefficient - (coefficients[i] ?? 0)) > 1e-6)) return undefined;
  const size = fromCoefficients(coefficients);
  return values.every((value, i) => sizeAt(size, sampledBatches[i] ?? 1) === value) ? size : undefined;
}

function added(sum: readonly number[], basis: readonly number[], factor: number): number[] {
  const length = Math.max(sum.length, basis.length);
  return Array.from({ length }, (_, i) => (sum[i] ?? 0) + factor * (basis[i] ?? 0));
}

/** (batch − power)/power times a polynomial: from one binomial coefficient of batch − 1 to the next. */
function dividedBinomial(basis: readonly number[], power: number): number[] {
  return Array.from({ length: basis.length + 1 }, (_, i) => ((basis[i - 1] ?? 0) - power * (basis[i] ?? 0)) / power);
}

/** `197*batch`, as a file names the size of an axis. */
export function showSize(size: Dimension, symbol = "batch"): string {
  const terms = coefficientsOf(size).flatMap((coefficient, power) => {
    if (coefficient === 0) return [];
    const factors = power === 0 ? [] : new Array<string>(power).fill(symbol);
    return [[...(coefficient === 1 && power > 0 ? [] : [`${coefficient}`]), ...factors].join("*")];
  });
  return terms.length === 0 ? "0" : terms.reverse().join("+").replaceAll("+-", "-");
}
