/**
 * Operations that compute the same of different tensors, as those of the time steps of a recurrent layer: they have one function and one set
 * of constants.
 */

import {
  type IntegerNetwork,
  type IntegerWeight,
  inputsOf,
  renumbered,
  summingProducer,
  tensorById,
} from "./integer-network.ts";

/** Returns, for the output of each operation, that of the first one that computes the same. */
export function sameOperations(network: IntegerNetwork): ReadonlyMap<number, number> {
  const first = new Map<string, number>();
  const found = new Map<number, number>();
  const weights = new Map<IntegerWeight, number>();
  const typeOf = (id: number) => {
    const { form, shape } = tensorById(network, id);
    const sums = summingProducer(network, id);
    return [form, shape, sums === undefined ? undefined : found.get(sums.output)];
  };
  for (const operation of network.operations) {
    const plain = { ...renumbered(operation, () => 0), name: "" };
    const key = JSON.stringify([plain, typeOf(operation.output), inputsOf(operation).map(typeOf)], (name, value) => {
      if (name === "weight" && "weight" in operation) {
        const number = weights.get(operation.weight) ?? weights.size;
        weights.set(operation.weight, number);
        return number;
      }
      return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>, String) : value;
    });
    const same = first.get(key) ?? operation.output;
    first.set(key, same);
    found.set(operation.output, same);
  }
  return found;
}
