/** What mixes the elements of a row: products of two activations, softmax, normalization; in plain integers, with one division. */
import { type IntegerTensor, quotientBits } from "../integer-network.ts";
import type { GatherRows, IntegerMatMul, NormalizeCodes, SoftmaxCodes } from "../token-operations.ts";
import { type Elements, int32 } from "./numbers.ts";

const f32 = Math.fround;

/** y[…, d] = rows[q[…]·size + d]. */
export function interpretRows({ rows, size }: GatherRows, numbers: Float64Array): Float64Array {
  return Float64Array.from({ length: numbers.length * size }, (_, i) => {
    const row = numbers[Math.floor(i / size)] ?? 0;
    return rows[row * size + (i % size)] ?? Number.NaN;
  });
}

/** The place of an element in a tensor whose axes of one element are repeated. */
function repeatedPlace(element: number, shape: readonly number[], from: readonly number[]): number {
  let [rest, place, stride] = [element, 0, 1];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const [size = 1, own = 1] = [shape[axis], from[axis]];
    if (own > 1) place += (rest % size) * stride;
    rest = Math.floor(rest / size);
    stride *= own;
  }
  return place;
}

/** acc[…, i, j] = Σ_c (q₁[…, i, c] − z₁)·(q₂[…, c, j] − z₂). @throws RangeError where a sum leaves int32. */
export function interpretMatMul(
  { name }: IntegerMatMul,
  [a, b]: readonly [Elements, Elements],
  output: IntegerTensor,
): Float64Array {
  const [batch, [rows = 1, columns = 1]] = [output.shape.slice(0, -2), output.shape.slice(-2)];
  const inner = a.tensor.shape.at(-1) ?? 1;
  const count = batch.reduce((product, size) => product * size, 1);
  const result = new Float64Array(count * rows * columns);
  for (let matrix = 0; matrix < count; matrix++) {
    const first = repeatedPlace(matrix, batch, a.tensor.shape.slice(0, -2)) * rows * inner;
    const second = repeatedPlace(matrix, batch, b.tensor.shape.slice(0, -2)) * inner * columns;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let c = 0; c < inner; c++) {
          const left = (a.data[first + i * inner + c] ?? 0) - a.tensor.form.zeroPoint;
          const right = (b.data[second + c * columns + j] ?? 0) - b.tensor.form.zeroPoint;
          sum = int32(sum + left * right, name);
        }
        result[(matrix * rows + i) * columns + j] = sum;
      }
    }
  }
  return result;
}

/** p = e/Σ e with e = table[max q − q] where the mask is 1, and 0 where it is 0. */
export function interpretSoftmax(
  { axis, table }: SoftmaxCodes,
  codes: Elements,
  mask: Elements | undefined,
  arithmetic: "float" | "fixed",
): Float64Array {
  const { shape } = codes.tensor;
  const length = shape[axis] ?? 1;
  const stride = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const result = new Float64Array(codes.data.length);
  for (let row = 0; row < result.length / length; row++) {
    const start = Math.floor(row / stride) * length * stride + (row % stride);
    const places = Array.from({ length }, (_, i) => start + i * stride);
    const kept = places.filter(
      (place) => mask === undefined || mask.data[repeatedPlace(place, shape, mask.tensor.shape)] === 1,
    );
    const largest = kept.reduce((max, place) => Math.max(max, codes.data[place] ?? 0), Number.NEGATIVE_INFINITY);
    const exponential = (place: number): number => table[largest - (codes.data[place] ?? 0)] ?? 0;
    const sum = kept.reduce((total, place) => total + exponential(place), 0);
    for (const place of kept) result[place] = quotient(exponential(place), sum, arithmetic);
  }
  return result;
}

function quotient(numerator: number, denominator: number, arithmetic: "float" | "fixed"): number {
  if (arithmetic === "float") return f32(f32(numerator) / f32(denominator));
  const [above, below] = [BigInt(numerator) << BigInt(quotientBits), BigInt(denominator)];
  return Number((above + below / 2n) / below);
}

/** u = c/√(V + ε). */
export function interpretNormalize(
  operation: NormalizeCodes,
  { data, tensor }: Elements,
  arithmetic: "float" | "fixed",
): Float64Array {
  const { size, isCentred, epsilon } = operation;
  const result = new Float64Array(data.length);
  for (let first = 0; first < data.length; first += size) {
    const centred = Array.from({ length: size }, (_, i) => (data[first + i] ?? 0) - tensor.form.zeroPoint);
    const sum = isCentred ? centred.reduce((total, v) => total + v, 0) : 0;
    const squares = centred.reduce((total, v) => total + v * v, 0);
    const variance = size * squares - sum * sum;
    const divide = arithmetic === "float" ? floatRoot(variance, epsilon) : fixedRoot(variance, epsilon);
    centred.forEach((v, i) => {
      result[first + i] = divide(size * v - sum);
    });
  }
  return result;
}

/** c ↦ f32(f32(c) / d) with d = f32(√f32(f32(V) + ε)). */
function floatRoot(variance: number, epsilon: number): (c: number) => number {
  const divisor = f32(Math.sqrt(f32(f32(variance) + epsilon)));
  return (c) => f32(f32(c) / divisor);
}

/**
 * c ↦ c·2^(k + 24)/r, rounded, halves away from 0, with r = ⌊√(W·4^k)⌋ for W = V + round(ε), and the largest k that keeps W·4^k below
 * 2^62; 0 where W is 0.
 */
function fixedRoot(variance: number, epsilon: number): (c: number) => number {
  const whole = BigInt(variance) + BigInt(Math.round(epsilon));
  if (whole === 0n) return () => 0;
  let k = 0n;
  while (whole << (2n * (k + 1n)) < 1n << 62n) k++;
  const root = squareRoot(whole << (2n * k));
  return (c) => {
    const above = BigInt(Math.abs(c)) << (k + BigInt(quotientBits));
    return Math.sign(c) * Number((above + root / 2n) / root);
  };
}

/** ⌊√x⌋, by Newton's iteration from above. */
function squareRoot(x: bigint): bigint {
  let root = 1n << 31n;
  for (;;) {
    const next = (root + x / root) / 2n;
    if (next >= root) return root;
    root = next;
  }
}
