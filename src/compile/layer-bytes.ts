/** The bytes of a stored layer, in the one formula that inspection, cost and conversion share. */

/** The stored numbers of a layer. */
export interface StoredLayer {
  /** The number of weights. */
  readonly weights: number;
  /** Bits of one weight, 1 to 32. */
  readonly bits: number;
  /** The number of 32-bit numbers stored next to the weights: biases, multipliers. Default 0. */
  readonly words?: number;
}

/** Returns the bytes of a layer: its weights packed without gaps, and four bytes for each number next to them. */
export function layerBytes({ weights, bits, words = 0 }: StoredLayer): number {
  return Math.ceil((weights * bits) / 8) + 4 * words;
}
