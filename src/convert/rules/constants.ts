/** Parameters and constants where conversion meets them: what they make together, and as codes that are added or multiplied. */

import type { Node } from "../../ir/graph.ts";
import { makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { broadcastIndex, type FoldRule } from "../../ops/build/fold/data.ts";
import { foldNode } from "../../ops/evaluate.ts";
import { sampleFirst } from "../assembly/sample-shape.ts";
import type { Codes, Constant } from "../assembly/symbolic.ts";
import type { TensorForm } from "../integer-network.ts";
import { type IntegerRule, type RuleContext, unsupported } from "./rule.ts";

/** The outputs of a node that reads nothing but constants; undefined where it reads something else or has no value on them. */
export function constantOutputs({ node, inputs }: RuleContext, fold: FoldRule | undefined): Constant[] | undefined {
  const tensors = inputs.map((input) => (input?.kind === "constant" ? input.tensor : undefined));
  const isConstant = inputs.every((input, i) => input === undefined || tensors[i] !== undefined);
  if (fold === undefined || !isConstant || inputs.length === 0) return undefined;
  const { op, name, attributes, outputs } = node;
  const made = foldNode(fold, { op, name, attributes, inputs: tensors, types: outputs.map(({ type }) => type) });
  if (!inputs.some((input) => input?.kind === "constant" && input.isOfBatch === true)) {
    return made?.map((tensor) => ({ kind: "constant", name, shape: tensor.shape, tensor }));
  }
  return made?.map((tensor) => ofBatch(node, tensor));
}

/** What a node computes from the size of the batch. @throws UnsupportedError where these are numbers to compute with. */
export function ofBatch(node: Node, tensor: Tensor): Constant {
  if (tensor.dtype.startsWith("float")) {
    throw unsupported(
      node,
      "it is computed from the size of the batch, and an integer network takes one sample at a time",
    );
  }
  return { kind: "constant", name: node.name, shape: tensor.shape, tensor, isOfBatch: true };
}

/** What is false of every element. */
export const falseRule: IntegerRule = ({ node }) => {
  const shape = node.outputs[0]?.type.shape ?? [];
  const tensor = makeTensor("bool", shape, new Uint8Array(elementCount(shape)));
  return { kind: "constant", name: node.name, shape, tensor };
};

/**
 * A constant in the shape of a node's output, as codes whose scale is the least power of two that keeps them within a bound.
 *
 * @param bound The largest code. A power of two.
 */
export function constantAsCodes({ assembly, node }: RuleContext, constant: Constant, bound: number): Codes {
  const shape = node.outputs[0]?.type.shape ?? [];
  const numbers = toNumbers(constant.tensor);
  const reach = numbers.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const scale = reach === 0 ? 1 : 2 ** Math.ceil(Math.log2(reach / bound));
  const at = broadcastIndex(constant.shape, shape);
  const codes = Int32Array.from({ length: elementCount(shape) }, (_, i) => Math.round((numbers[at(i)] ?? 0) / scale));
  const form: TensorForm = { kind: "wide", low: -bound, high: bound, scale, zeroPoint: 0 };
  const { name } = constant;
  return assembly.codes(
    assembly.add(name, sampleFirst(shape), form, (output) => ({ op: "ConstantCodes", name, output, codes })),
  );
}
