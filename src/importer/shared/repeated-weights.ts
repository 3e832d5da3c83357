/**
 * Finds weights that a file holds twice, as they are or transposed. An exporter that computes constants stores a tied weight so,
 * and nothing in the file says whether the two are one: layers that were copied begin with the same numbers too.
 */

import type { Parameter } from "../../ir/network.ts";
import { float32Data } from "../../ir/tensor.ts";

/** The most pairs that a note names. */
const mostNamed = 3;

/** Returns the note on the weights that have the numbers of an earlier one; none where all differ. */
export function repeatedWeightNotes(parameters: readonly Parameter[]): readonly string[] {
  const pairs = repeatedWeights(parameters);
  if (pairs.length === 0) return [];
  const named = pairs.slice(0, mostNamed).map(([first, second]) => `"${first}" and "${second}"`);
  const more = pairs.length > mostNamed ? `, and ${pairs.length - mostNamed} more pairs` : "";
  return [
    `The file stores the same numbers twice, in ${named.join(", ")}${more}: they are trained as weights of their own. ` +
      "If the model ties them, export it without constant folding, so that they are stored once.",
  ];
}

/** Each weight with the numbers of an earlier one, after that one. */
function repeatedWeights(parameters: readonly Parameter[]): (readonly [string, string])[] {
  const weights = parameters.filter(({ trainable, value }) => trainable && value.shape.length > 1);
  const seen = new Map<string, Parameter[]>();
  const pairs: (readonly [string, string])[] = [];
  for (const weight of weights) {
    const key = keyOf(weight);
    const candidates = key === undefined ? [] : (seen.get(key) ?? []);
    const first = candidates.find((other) => isSame(other, weight));
    if (first !== undefined) pairs.push([first.name, weight.name]);
    else if (key !== undefined) seen.set(key, [...candidates, weight]);
  }
  return pairs;
}

/** The same for the same elements in any order; undefined for a tensor of one number, which is a default. */
function keyOf({ value: { data } }: Parameter): string | undefined {
  if (!(data instanceof Float32Array)) return undefined;
  const first = data[0];
  if (data.every((number) => number === first)) return undefined;
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let sum = 0;
  for (const word of bits) sum = (sum + word) >>> 0;
  return `${data.length}:${sum}`;
}

/** Whether two tensors have the same elements in the same order, or as a matrix and its transpose. */
function isSame({ value: first }: Parameter, { value: second }: Parameter): boolean {
  const [a, b] = [float32Data(first), float32Data(second)];
  if (a.every((number, i) => number === b[i])) return true;
  const [rows = 0, columns = 0] = first.shape;
  if (first.shape.length !== 2 || second.shape.length !== 2 || second.shape[0] !== columns) return false;
  return a.every((number, i) => number === b[(i % columns) * rows + Math.floor(i / columns)]);
}
