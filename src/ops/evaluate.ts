/**
 * Evaluates nodes whose inputs are all constants: what exporters leave behind when they write shapes as arithmetic.
 *
 * An operator's definition holds its value on constants; here is what is worth computing.
 */

import { GraphError } from "../errors.ts";
import { type Graph, type OperatorCall, showNode, type Value } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { elementCount } from "../ir/types.ts";
import type { FoldCall, FoldRule } from "./build/fold/data.ts";
import { definitionOf, type OperatorRegistry } from "./definition.ts";

const computedLimit = 1 << 20;
const copiedLimit = 1 << 28;

/** Whether a node of constants is small enough to be computed. */
export function canFold(rule: FoldRule, { types, inputs }: Pick<FoldCall, "types" | "inputs">): boolean {
  const limit = rule.copies === true ? copiedLimit : computedLimit;
  const sizes = [...types, ...inputs.filter((tensor) => tensor !== undefined)];
  return sizes.every(({ shape }) => elementCount(shape) <= limit);
}

/** The outputs of a node of constants, or undefined where it has to stay a node. */
export function foldNode(rule: FoldRule, call: FoldCall): readonly Tensor[] | undefined {
  return canFold(rule, call) ? rule.compute(call) : undefined;
}

/**
 * Returns the outputs of a node of known tensors, or undefined where its operator has no value on them.
 *
 * @throws GraphError when the tensors do not fit the operator.
 */
export function evaluateNode(
  registry: OperatorRegistry,
  node: Omit<OperatorCall, "inputs" | "constants">,
  tensors: readonly (Tensor | undefined)[],
): readonly Tensor[] | undefined {
  const { fold, infer } = definitionOf(registry, node);
  const inputs = tensors.map((tensor) => tensor && { dtype: tensor.dtype, shape: tensor.shape });
  const types = infer({ ...node, inputs, constants: tensors });
  const { op, name, attributes } = node;
  return fold === undefined ? undefined : foldNode(fold, { op, name, attributes, inputs: tensors, types });
}

/**
 * Returns the first output of a graph that only computes with known tensors.
 *
 * @throws GraphError naming the node that cannot be computed.
 */
export function evaluateGraph(registry: OperatorRegistry, graph: Graph, inputs: readonly Tensor[]): Tensor {
  const known = new Map<Value, Tensor>(graph.constants);
  graph.inputs.forEach((input, i) => {
    const tensor = inputs[i];
    if (tensor !== undefined) known.set(input, tensor);
  });
  for (const { inputs: read, outputs, ...node } of graph.nodes) {
    const tensors = read.map((value) => (value === undefined ? undefined : known.get(value)));
    const results = evaluateNode(registry, { ...node, outputCount: outputs.length }, tensors);
    outputs.forEach((value, i) => {
      const tensor = results?.[i];
      if (tensor === undefined) throw notComputed(node);
      known.set(value, tensor);
    });
  }
  const [output] = graph.outputs;
  const result = output === undefined ? undefined : known.get(output.value);
  if (result === undefined) throw new GraphError("the computation has no output", { where: `graph "${graph.name}"` });
  return result;
}

function notComputed(node: { readonly op: string; readonly name: string }): GraphError {
  return new GraphError("its computation on the batch size is too large to be done in advance", {
    where: showNode(node),
    remedy: "Use smaller batches, or export the model without it.",
  });
}
