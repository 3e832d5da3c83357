/**
 * What may be computed while a file is read. A file of 2 kB can hold constants that double 26 times; a file whose constants
 * are large may compute in proportion to them.
 */

import { UnsupportedError } from "../errors.ts";
import { type OperatorCall, showNode } from "../ir/graph.ts";
import { bitsPerElement, type Tensor } from "../ir/tensor.ts";
import { elementCount, type TensorType } from "../ir/types.ts";

/** Bytes that may be computed whatever the file holds. */
export const freeFoldBytes = 2 ** 28;

/** Bytes that may be computed for each byte of the file's constants: a code of 4 bits becomes a float32, which is copied. */
const bytesForEach = 16;

/** Products that may be computed: a second or two. */
const mostProducts = 2 ** 30;

/** Counts what is computed of constants. */
export class FoldBudget {
  readonly #bytes: number;
  #taken = 0;
  #products = 0;

  /** @param constants The constants of the file. */
  constructor(constants: Iterable<Tensor>) {
    let stored = 0;
    for (const { dtype, data } of constants) stored += (data.length * bitsPerElement(dtype)) / 8;
    this.#bytes = freeFoldBytes + bytesForEach * stored;
  }

  /**
   * Counts a node that is about to be computed.
   *
   * @throws UnsupportedError naming the node when the budget is used up.
   */
  take(call: OperatorCall, types: readonly TensorType[]): void {
    for (const { dtype, shape } of types) {
      const elements = elementCount(shape);
      this.#taken += dtype === "string" ? elements * 16 : (elements * bitsPerElement(dtype)) / 8;
      this.#products += elements * innerSize(call);
    }
    if (this.#taken <= this.#bytes && this.#products <= mostProducts) return;
    const limit =
      this.#taken > this.#bytes
        ? `more than ${Math.round(this.#bytes / 2 ** 20)} MB of constants`
        : `more than ${mostProducts} products of constants`;
    throw new UnsupportedError(`reading the model up to here would compute ${limit}`, {
      where: showNode(call),
      remedy: "Export the model with constant folding, or store the computed constant in the file.",
    });
  }
}

/** Products for each element of the output: the last size that both matrices of a product share, else one. */
function innerSize({ inputs }: OperatorCall): number {
  const [a, b] = inputs;
  const inner = a?.shape.at(-1) ?? 1;
  return b !== undefined && b.shape.length > 1 && b.shape.at(-2) === inner ? Math.max(1, inner) : 1;
}
