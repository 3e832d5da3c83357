/**
 * ONNX Runtime's operators on weights that are stored in blocks of few bits (domain com.microsoft): a matrix product and a gather.
 *
 * A weight of [N, K] is a code for each element, and a scale and a zero point for each block of elements along K:
 * value = (code − zero point)·scale in float32. Codes of fewer than eight bits lie in bytes, the first in the lowest bits.
 * Their schemas are in ONNX Runtime's docs/ContribOperators.md.
 */

import { intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import { countFromFront } from "../build/operands.ts";
import { type OperatorDefinition, requiredInput, typeError } from "../definition.ts";

const domain = "com.microsoft";

/** The constants of a weight in blocks; without zero points every one is 2^(bits − 1). */
export interface BlockedWeight {
  readonly bits: number;
  readonly blockSize: number;
  readonly codes: Value;
  readonly scales: Value;
  readonly zeroPoints: Value | undefined;
}

/** x·Wᵀ for W of [outputs, inputs]: codes are uint8[outputs, blocks, bytes], zero points uint8[outputs, bytes], packed alike. */
export function matMulOfBlocks(b: GraphBuilder, x: Value, weight: BlockedWeight, outputs: number): Value {
  const { bits, blockSize, codes, scales, zeroPoints } = weight;
  // Level 1: computed in float32; by default the engine may round x to eight bits.
  const attributes = { K: x.type.shape.at(-1) ?? 0, N: outputs, bits, block_size: blockSize, accuracy_level: 1 };
  return b.one(matMulNBitsOperator.op, [x, codes, scales, zeroPoints], attributes, { domain });
}

/** Rows of a table of [rows, width]: codes are uint8[rows, bytes], zero points uint8[rows, bytes]. */
export function gatherOfBlocks(b: GraphBuilder, index: Value, weight: BlockedWeight): Value {
  const { bits, blockSize, codes, scales, zeroPoints } = weight;
  const attributes = { bits, block_size: blockSize, gather_axis: 0, quantize_axis: 1 };
  return b.one(gatherBlockQuantizedOperator.op, [codes, index, scales, zeroPoints], attributes, { domain });
}

function matMulType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const [inputs, outputs] = [intAttribute(call, "K"), intAttribute(call, "N")];
  if (shape.at(-1) !== inputs) throw typeError(call, `the last axis should have ${inputs} elements`);
  return [{ dtype, shape: [...shape.slice(0, -1), outputs] }];
}

function gatherType(call: OperatorCall): readonly TensorType[] {
  const [codes, index, scales] = [requiredInput(call, 0), requiredInput(call, 1), requiredInput(call, 2)];
  const axis = countFromFront(intAttribute(call, "gather_axis", 0), codes.shape.length);
  const perByte = codes.dtype === "uint8" ? 8 / intAttribute(call, "bits", 4) : 1;
  const shape = codes.shape.with(-1, (codes.shape.at(-1) ?? 0) * perByte);
  return [{ dtype: scales.dtype, shape: [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)] }];
}

/** A matrix product with a weight in blocks. */
export const matMulNBitsOperator: OperatorDefinition = {
  op: "MatMulNBits",
  domain,
  infer: matMulType,
  macs: (node) => elementCount(node.outputs[0]?.type.shape ?? []) * intAttribute(node, "K"),
};

/** Rows of a table in blocks. */
export const gatherBlockQuantizedOperator: OperatorDefinition = {
  op: "GatherBlockQuantized",
  domain,
  infer: gatherType,
};

/** The operators of this file. */
export const blockQuantizedOperators: readonly OperatorDefinition[] = [
  matMulNBitsOperator,
  gatherBlockQuantizedOperator,
];
