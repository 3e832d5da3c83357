/** Graphs as other tools run them, for any batch: ExpandBatch and BatchValue as standard ONNX without fixed sizes. */

import { batchValueOperator, operators } from "../../compile/registry.ts";
import { intAttribute } from "../../ir/attributes.ts";
import { type Graph, makeValue, type Node, type Value } from "../../ir/graph.ts";
import { batchSymbol, times } from "../../ir/size.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { findDefinition, type OperatorDefinition, type OperatorRegistry } from "../../ops/definition.ts";
import { identityOperator } from "../../ops/families/elementwise.ts";
import { shapeOperator } from "../../ops/families/shape/indexing.ts";
import { expandOperator } from "../../ops/families/shape/shape-ops.ts";
import { batchComputation } from "../../ops/internal/batch-value.ts";
import { expandBatchOperator } from "../../ops/internal/expand-batch.ts";
import type { BatchSlot } from "../../ops/rewrite/slots.ts";
import { computationOf } from "./computation.ts";

/** Returns the nodes in place of one, and adds their constants. */
type Form = (node: Node, constants: Map<Value, Tensor>) => readonly Node[];

/** The operators whose lowerings write the size of the batch, with their forms for any batch. */
const forms: ReadonlyMap<OperatorDefinition, Form> = new Map([
  [expandBatchOperator, expand],
  [batchValueOperator, compute],
]);

/** The operators without the lowerings that would write the size of the batch. */
export function withoutBatchForms(registry: OperatorRegistry): OperatorRegistry {
  return new Map(
    [...registry].map(([key, definition]) => {
      if (!forms.has(definition)) return [key, definition];
      const { lower: _lower, ...rest } = definition;
      return [key, rest];
    }),
  );
}

/** The graph in ONNX without the size of the batch: what depends on it is computed from the shape of an input. */
export function batchAtRunTime(graph: Graph): Graph {
  if (!graph.nodes.some((node) => formOf(node) !== undefined)) return graph;
  const constants = new Map<Value, Tensor>(graph.constants);
  const nodes = graph.nodes.flatMap((node) => formOf(node)?.(node, constants) ?? [node]);
  return { ...graph, nodes, constants };
}

function formOf(node: Node): Form | undefined {
  const definition = findDefinition(operators, node);
  return definition === undefined ? undefined : forms.get(definition);
}

/** A BatchValue as its computation, on the shape of its reference. */
function compute(node: Node, constants: Map<Value, Tensor>): readonly Node[] {
  const [reference] = node.inputs;
  if (reference === undefined) return [node];
  const { nodes, value } = computed(node, reference, batchComputation(node), constants);
  return [...nodes, withOperator(identityOperator, node, [value])];
}

/** An ExpandBatch as Expand to a shape that is computed from the shape of the reference. */
function expand(node: Node, constants: Map<Value, Tensor>): readonly Node[] {
  const [x, reference] = node.inputs;
  if (x === undefined || reference === undefined) return [node];
  const axis = intAttribute(node, "axis", 0);
  const factor = intAttribute(node, "factor", 1);
  const { shape } = x.type;
  const elements = shape.map((_, i) => (i === axis ? times(factor, batchSymbol) : 1));
  const target: BatchSlot = {
    kind: "batch",
    type: { dtype: "int64", shape: [shape.length] },
    source: { elements },
  };
  const computation = computationOf(target, reference.type.shape[0] ?? 0);
  const { nodes, value } = computed(node, reference, computation, constants);
  return [...nodes, withOperator(expandOperator, node, [x, value])];
}

/** The nodes of a computation in place of a node, on the first size of a value; and what they compute. */
function computed(
  node: Node,
  reference: Value,
  body: Graph,
  constants: Map<Value, Tensor>,
): { readonly nodes: readonly Node[]; readonly value: Value | undefined } {
  for (const [value, tensor] of body.constants) constants.set(value, tensor);
  const rows = makeValue(`${node.name}/rows`, { dtype: "int64", shape: [1] });
  const shape = { ...withOperator(shapeOperator, node, [reference]), name: `${node.name}/rows` };
  const inNode = (value: Value | undefined) => (value !== undefined && body.inputs.includes(value) ? rows : value);
  const nodes = body.nodes.map((each) => ({
    ...each,
    name: `${node.name}/${each.name}`,
    origin: node.origin,
    inputs: each.inputs.map(inNode),
  }));
  return {
    nodes: [{ ...shape, outputs: [rows], attributes: { start: 0, end: 1 } }, ...nodes],
    value: inNode(body.outputs[0]?.value),
  };
}

/** A node of another operator that makes the outputs of one. */
function withOperator({ op, domain }: OperatorDefinition, node: Node, inputs: readonly (Value | undefined)[]): Node {
  return { ...node, op, domain, inputs, attributes: {} };
}
