/** Graphs as other tools run them, for any batch: ExpandBatch and BatchValue as standard ONNX without fixed sizes. */

import { batchComputation, isBatchValue } from "../../compile/batch-value.ts";
import { type Graph, makeValue, type Node, subbyteDomain, type Value } from "../../ir/graph.ts";
import { int64Tensor, type Tensor } from "../../ir/tensor.ts";
import type { TensorType } from "../../ir/types.ts";
import type { OperatorRegistry } from "../../ops/definition.ts";

/** The operators without the lowerings that would write the size of the batch. */
export function withoutBatchForms(operators: OperatorRegistry): OperatorRegistry {
  return new Map(
    [...operators].map(([key, definition]) => {
      if (!isExpandBatch(definition) && !isBatchValue(definition)) return [key, definition];
      const { lower: _lower, ...rest } = definition;
      return [key, rest];
    }),
  );
}

/** The graph in ONNX without the size of the batch: what depends on it is computed from the shape of an input. */
export function batchAtRunTime(graph: Graph): Graph {
  if (!graph.nodes.some((node) => isExpandBatch(node) || isBatchValue(node))) return graph;
  const constants = new Map<Value, Tensor>(graph.constants);
  const nodes = graph.nodes.flatMap((node): readonly Node[] =>
    isExpandBatch(node) ? expand(node, constants) : isBatchValue(node) ? compute(node, constants) : [node],
  );
  return { ...graph, nodes, constants };
}

function isExpandBatch(node: { readonly op: string; readonly domain: string }): boolean {
  return node.op === "ExpandBatch" && node.domain === subbyteDomain;
}

/** The first size of a value, int64[1]. */
function rowsOf(reference: Value, { name, origin }: Node): Node {
  const outputs = [makeValue(`${name}/Shape`, { dtype: "int64", shape: [1] })];
  return {
    op: "Shape",
    domain: "",
    name: `${name}/Shape`,
    inputs: [reference],
    outputs,
    attributes: { start: 0, end: 1 },
    origin,
  };
}

/** The computation of a BatchValue, on the shape of its reference. */
function compute(node: Node, constants: Map<Value, Tensor>): readonly Node[] {
  const [reference] = node.inputs;
  const body = batchComputation(node);
  const [output] = body.outputs;
  if (reference === undefined || output === undefined) return [node];
  for (const [value, tensor] of body.constants) constants.set(value, tensor);
  const rows = rowsOf(reference, node);
  const inNode = (value: Value | undefined) =>
    value !== undefined && body.inputs.includes(value) ? rows.outputs[0] : value;
  const nodes = body.nodes.map((each) => ({
    ...each,
    name: `${node.name}/${each.name}`,
    origin: node.origin,
    inputs: each.inputs.map(inNode),
  }));
  return [rows, ...nodes, { ...node, op: "Identity", domain: "", inputs: [inNode(output.value)], attributes: {} }];
}

/** ExpandBatch with its target shape put together from the shape of the reference. */
function expand(node: Node, constants: Map<Value, Tensor>): readonly Node[] {
  const constant = (tensor: Tensor): Value => {
    const value = makeValue("shape", { dtype: tensor.dtype, shape: tensor.shape });
    constants.set(value, tensor);
    return value;
  };
  const [x, reference] = node.inputs;
  if (x === undefined || reference === undefined) return [node];
  const axis = typeof node.attributes.axis === "number" ? node.attributes.axis : 0;
  const factor = typeof node.attributes.factor === "number" ? node.attributes.factor : 1;
  const plain = (
    op: string,
    inputs: readonly Value[],
    type: TensorType,
    attributes: Node["attributes"] = {},
  ): Node => ({
    op,
    domain: "",
    name: `${node.name}/${op}`,
    inputs,
    outputs: [makeValue(`${node.name}/${op}`, type)],
    attributes,
    origin: node.origin,
  });
  const one: TensorType = { dtype: "int64", shape: [1] };
  const rows = rowsOf(reference, node);
  const count = plain("Mul", [...rows.outputs, constant(int64Tensor([factor]))], one);
  const part = (from: number, to: number) => constant(int64Tensor(x.type.shape.slice(from, to).map(() => 1)));
  const rank = x.type.shape.length;
  const parts = [
    ...(axis > 0 ? [part(0, axis)] : []),
    ...count.outputs,
    ...(axis < rank - 1 ? [part(axis + 1, rank)] : []),
  ];
  const target = plain("Concat", parts, { dtype: "int64", shape: [rank] }, { axis: 0 });
  return [rows, count, target, { ...node, op: "Expand", domain: "", inputs: [x, ...target.outputs], attributes: {} }];
}
