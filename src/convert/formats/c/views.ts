/** Operations that give elements of a tensor as they lie there, one after another: the C program only points at them. */

import { rowMajorStrides } from "../../../ir/types.ts";
import { type IntegerNetwork, type IntegerOperation, producerOf } from "../../integer-network.ts";

/** A tensor as a part of another one. */
export interface View {
  readonly input: number;
  /** The place of its first element. */
  readonly start: number;
}

/** Returns what an operation shows of its input; undefined for one that computes or moves something. */
export function viewOf(network: Pick<IntegerNetwork, "operations">, operation: IntegerOperation): View | undefined {
  if (operation.op === "ReshapeCodes") return { input: operation.input, start: 0 };
  if (operation.op !== "MoveCodes") return undefined;
  const { input, places } = operation;
  // Constants do not lie in the buffer.
  if (producerOf(network, input)?.op === "ConstantCodes") return undefined;
  const strides = rowMajorStrides(places.map(({ length }) => length));
  const isInOrder = places.every((list, axis) => {
    const [first = -1] = list;
    return first >= 0 && list.every((place, i) => place === first + i * (strides[axis] ?? 1));
  });
  return isInOrder ? { input, start: places.reduce((sum, [first = 0]) => sum + first, 0) } : undefined;
}
