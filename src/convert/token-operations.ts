/** Operations of an integer network on tokens: numbers and rows of tables, products of two activations, softmax and normalization. */

/** What every operation of an integer network has. */
export interface Operation {
  readonly name: string;
  readonly output: number;
}

/** Whole numbers as they enter, within the bounds of the output's form. */
export interface ReadIntegers extends Operation {
  readonly op: "ReadIntegers";
  /** The first of its elements in a row of several inputs. */
  readonly start: number;
}

/** y[…, d] = rows[q[…]·size + d]: a row of a table for each number. */
export interface GatherRows extends Operation {
  readonly op: "GatherRows";
  readonly input: number;
  /** Codes of the output, row after row. */
  readonly rows: Int32Array;
  readonly size: number;
}

/**
 * acc[…, i, j] = Σ_c (q₁[…, i, c] − z₁)·(q₂[…, c, j] − z₂), a product of two activations; axes of one element before the last two are
 * repeated.
 */
export interface IntegerMatMul extends Operation {
  readonly op: "IntegerMatMul";
  /** Two tensors with as many axes as the output. */
  readonly inputs: readonly [number, number];
}

/**
 * p = e/Σ e along an axis, with e = table[max q − q]: the largest is that of the elements that the mask keeps, and e is 0 for the
 * others. Where the mask keeps none, p is 0.
 */
export interface SoftmaxCodes extends Operation {
  readonly op: "SoftmaxCodes";
  /** The codes, and a mask of ones and zeros in their shape, axes of one element being repeated. */
  readonly inputs: readonly [number] | readonly [number, number];
  readonly axis: number;
  /** One integer for each difference, from 0 on. */
  readonly table: Int32Array;
}

/**
 * u = c/√(V + ε): with v = q − z over D elements, c = D·v − Σ v and V = D·Σ v² − (Σ v)² where the mean is removed; c = D·v and
 * V = D·Σ v² where it is not.
 */
export interface NormalizeCodes extends Operation {
  readonly op: "NormalizeCodes";
  readonly input: number;
  /** D: as many elements as follow one another are normalized together. */
  readonly size: number;
  readonly isCentred: boolean;
  /** In units of V. A float32 above 0. */
  readonly epsilon: number;
}
