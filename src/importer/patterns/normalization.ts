/** Layer and group normalization that exporters wrote as arithmetic. */

import type { Node, Value } from "../../ir/graph.ts";
import { elementCount, type Shape, sameShape } from "../../ir/types.ts";
import { isClose, type Matcher, type Pattern } from "./match.ts";

/** The mean over the last axes: its input, and the first of those axes. */
function trailingMean(graph: Matcher, value: Value | undefined): { x: Value; first: number } | undefined {
  const pool = graph.producer(value, "GlobalAveragePool")?.inputs[0];
  if (pool !== undefined) return { x: pool, first: 2 };
  const node = graph.producer(value, "ReduceMean");
  const [x, axesInput] = node?.inputs ?? [];
  const axes = graph.integers(axesInput);
  if (node === undefined || x === undefined || axes === undefined || node.attributes.keepdims === 0) return undefined;
  const rank = x.type.shape.length;
  const places = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  const [first] = places;
  const isTrailing = first !== undefined && places.every((axis, i) => axis === first + i) && places.at(-1) === rank - 1;
  return isTrailing ? { x, first } : undefined;
}

interface Normalized {
  readonly x: Value;
  readonly first: number;
  readonly epsilon: number;
}

/** (x − mean)/√(variance + ε) over the last axes. */
function normalized(graph: Matcher, value: Value | undefined): Normalized | undefined {
  const node = graph.producer(value, "Div");
  const [centred, deviation] = node?.inputs ?? [];
  const sum = graph.withNumber(graph.producer(deviation, "Sqrt")?.inputs[0], "Add");
  const difference = graph.producer(centred, "Sub");
  const mean = trailingMean(graph, difference?.inputs[1]);
  const variance = trailingMean(graph, sum?.x);
  if (sum === undefined || mean === undefined || variance === undefined || centred === undefined) return undefined;
  if (difference?.inputs[0] !== mean.x || mean.first !== variance.first) return undefined;
  return isSquare(graph, variance.x, centred) ? { x: mean.x, first: mean.first, epsilon: sum.number } : undefined;
}

function isSquare(graph: Matcher, value: Value, root: Value): boolean {
  const power = graph.producer(value, "Pow");
  if (power !== undefined) return power.inputs[0] === root && isClose(graph.number(power.inputs[1]), 2);
  const product = graph.producer(value, "Mul");
  return product?.inputs[0] === root && product.inputs[1] === root;
}

/** The two orders in which an operator's operands may stand. */
function orders(node: Node | undefined): (readonly [Value, Value])[] {
  const [a, b] = node?.inputs ?? [];
  return a === undefined || b === undefined
    ? []
    : [
        [a, b],
        [b, a],
      ];
}

const layerNormalization: Pattern = (graph, node) => {
  if (node.op !== "Add") return undefined;
  for (const [product, bias] of orders(node)) {
    for (const [inner, scale] of orders(graph.producer(product, "Mul"))) {
      const found = normalized(graph, inner);
      if (found === undefined) continue;
      const shape = found.x.type.shape.slice(found.first);
      if (!sameShape(scale.type.shape, shape) || !sameShape(bias.type.shape, shape)) continue;
      const attributes = { axis: found.first - found.x.type.shape.length, epsilon: { float: found.epsilon } };
      return { op: "LayerNormalization", inputs: [found.x, scale, bias], attributes };
    }
  }
  return undefined;
};

/** [C, 1, …, 1] */
function isPerChannel(value: Value, shape: Shape): boolean {
  const channels = shape[1] ?? 0;
  const own = value.type.shape;
  return elementCount(own) === channels && own[Math.max(0, own.length - shape.length + 1)] === channels;
}

/** Recognizes torch's GroupNorm: an InstanceNormalization of groups with ones and zeros, then scale and offset. */
function groupsOf(graph: Matcher, value: Value): { x: Value; groups: number; epsilon: number } | undefined {
  const back = graph.producer(value, "Reshape");
  const instance = graph.producer(back?.inputs[0], "InstanceNormalization");
  const grouped = graph.producer(instance?.inputs[0], "Reshape");
  const [x] = grouped?.inputs ?? [];
  if (instance === undefined || grouped === undefined || x === undefined) return undefined;
  const shape = grouped.outputs[0]?.type.shape ?? [];
  const epsilon = instance.attributes.epsilon;
  if (shape.length !== 3 || !sameShape(value.type.shape, x.type.shape)) return undefined;
  const number = typeof epsilon === "object" && "float" in epsilon ? epsilon.float : 1e-5;
  return { x, groups: shape[1] ?? 1, epsilon: number };
}

/** The scale and the offset are inputs of the network, which GroupNormalization wants as vectors. */
const groupNormalization: Pattern = (graph, node) => {
  if (node.op !== "Add") return undefined;
  for (const [product, bias] of orders(node)) {
    for (const [inner, scale] of orders(graph.producer(product, "Mul"))) {
      const found = groupsOf(graph, inner);
      if (found === undefined) continue;
      const { shape } = found.x.type;
      if (!isPerChannel(scale, shape) || !isPerChannel(bias, shape)) continue;
      const attributes = { num_groups: found.groups, epsilon: { float: found.epsilon } };
      return { op: "GroupNormalization", inputs: [found.x, scale, bias], attributes };
    }
  }
  return undefined;
};

/** Normalizations that exporters write out as elementwise operators. */
export const normalizationPatterns: readonly Pattern[] = [layerNormalization, groupNormalization];
