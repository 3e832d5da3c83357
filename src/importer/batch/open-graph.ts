/** Graphs that are written for any batch: the same nodes with the same constants, whichever batch they are made for. */

import { SubbyteError } from "../../errors.ts";
import type { Attribute, Graph, Node, Value } from "../../ir/graph.ts";
import { showSize, sizeAt } from "../../ir/size.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { sameShape } from "../../ir/types.ts";

/** A graph that is written for any batch size. */
export interface OpenGraph {
  readonly graph: Graph;
  /** The name of a size of an input or output that depends on the batch. */
  symbolOf(value: Value, axis: number, batch: string): string | undefined;
}

/** The batches that a graph is made for, to see what of it depends on them. */
const comparedBatches = [2, 3, 5];

/**
 * A graph that holds for every batch, or undefined where it cannot be without the size of one.
 *
 * @param graphFor Makes the graph for a size of the batch.
 */
export function openGraph(graphFor: (batch: number) => Graph): OpenGraph | undefined {
  try {
    const graphs = comparedBatches.map(graphFor);
    const [graph, ...others] = graphs;
    if (graph === undefined || !others.every((other) => sameWithoutTypes(graph, other))) return undefined;
    const all = graphs.map(({ inputs, outputs }) => [...inputs, ...outputs.map(({ value }) => value)]);
    const symbolOf = (value: Value, axis: number, batch: string) => {
      const place = all[0]?.indexOf(value) ?? -1;
      const sizes = all.map((values) => values[place]?.type.shape[axis] ?? 0);
      return sizes.every((size) => size === sizes[0]) ? undefined : openSize(sizes, batch);
    };
    return { graph, symbolOf };
  } catch (error) {
    // A network that cannot be bound to another batch keeps its own.
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}

/** The name of a size by what it is for each of the compared batches: `batch`, `4*batch`, or one of its own. */
function openSize(sizes: readonly number[], batch: string): string {
  const [first = 0, second = 0] = sizes;
  const [from = 0, to = 1] = comparedBatches;
  const slope = (second - first) / (to - from);
  const size = { coefficients: [first - slope * from, slope] };
  const isLinear = sizes.every((each, i) => each === sizeAt(size, comparedBatches[i] ?? 0));
  return isLinear ? showSize(size, batch) : `${batch}_${sizes.join("_")}`;
}

/** Whether two graphs are the same nodes with the same constants, whatever their types are. */
function sameWithoutTypes(a: Graph, b: Graph): boolean {
  if (a === b) return true;
  if (a.nodes.length !== b.nodes.length || a.constants.size !== b.constants.size) return false;
  const places = new Map<Value, Value>(a.inputs.flatMap((value, i) => (b.inputs[i] ? [[value, b.inputs[i]]] : [])));
  const isSame = (x: Value | undefined, y: Value | undefined): boolean => {
    if (x === undefined || y === undefined) return x === y;
    const [own, other] = [a.constants.get(x), b.constants.get(y)];
    if (own === undefined || other === undefined) return own === other && places.get(x) === y;
    return own === other || sameTensor(own, other);
  };
  const areSame = a.nodes.every((node, i) => {
    const other = b.nodes[i];
    if (other === undefined || node.op !== other.op || node.domain !== other.domain) return false;
    if (node.inputs.length !== other.inputs.length || !sameAttributes(node, other)) return false;
    node.outputs.forEach((value, j) => {
      const twin = other.outputs[j];
      if (twin !== undefined) places.set(value, twin);
    });
    return node.inputs.every((value, j) => isSame(value, other.inputs[j]));
  });
  return areSame && a.outputs.every(({ value }, i) => isSame(value, b.outputs[i]?.value));
}

function sameTensor(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return false;
  if (a.data === b.data) return true;
  for (let i = 0; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false;
  return a.data.length === b.data.length;
}

function sameAttributes(a: Node, b: Node): boolean {
  const names = Object.keys(a.attributes);
  return (
    names.length === Object.keys(b.attributes).length &&
    names.every((name) => sameAttribute(a.attributes[name], b.attributes[name]))
  );
}

function sameAttribute(a: Attribute | undefined, b: Attribute | undefined): boolean {
  if (typeof a === "object" && typeof b === "object" && "tensor" in a && "tensor" in b)
    return sameTensor(a.tensor, b.tensor);
  if (typeof a === "object" && typeof b === "object" && "graph" in a && "graph" in b) {
    return sameWithoutTypes(a.graph, b.graph);
  }
  return JSON.stringify(a) === JSON.stringify(b);
}
