/**
 * BatchValue(reference): a tensor that follows from the size of the batch, which is the first size of the reference.
 *
 * A graph may compute with its batch: a mean over the samples divides by their number, the last sample is at batch − 1.
 * The attribute `value` is that computation, a graph with the size of the batch as its input, int64[1]. The tensor is
 * known wherever the graph is bound to a batch: it may be the shape of a Reshape, and is a constant in what the engine runs.
 */

import { GraphError } from "../../errors.ts";
import {
  type Graph,
  type GraphBuilder,
  type OperatorCall,
  showNode,
  subbyteDomain,
  type Value,
} from "../../ir/graph.ts";
import { int64Tensor } from "../../ir/tensor.ts";
import { type OperatorDefinition, type OperatorRegistry, requiredInput, typeError } from "../definition.ts";
import { evaluateGraph } from "../evaluate.ts";

const key = { op: "BatchValue", domain: subbyteDomain } as const;

/** A tensor by its computation from the size of the batch, int64[1]. @param reference A value with the batch as its first axis. */
export function batchValue(b: GraphBuilder, reference: Value, computation: Graph, name: string): Value {
  return b.one(key.op, [reference], { value: { graph: computation } }, { domain: key.domain, name });
}

/** Returns the definition of BatchValue. @param registry The operators that its computations have. */
export function makeBatchValueOperator(registry: OperatorRegistry): OperatorDefinition {
  return {
    ...key,
    infer(call) {
      const [rows] = requiredInput(call, 0).shape;
      if (rows === undefined) throw typeError(call, "the reference has no axes");
      const known = evaluateGraph(registry, batchComputation(call), [int64Tensor([rows])]);
      return [{ dtype: known.dtype, shape: known.shape, known }];
    },
    lower: ({ builder, node }) => {
      const [output] = node.outputs;
      return output?.known === undefined ? undefined : [builder.constant(output.known, output.name)];
    },
  };
}

/** Returns what a BatchValue computes. @throws GraphError for one without a computation. */
export function batchComputation(node: Pick<OperatorCall, "op" | "name" | "attributes">): Graph {
  const { value } = node.attributes;
  if (typeof value === "object" && "graph" in value) return value.graph;
  throw new GraphError("attribute value should be a graph", { where: showNode(node) });
}
