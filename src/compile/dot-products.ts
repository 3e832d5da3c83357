/**
 * Sums of products over activations, taken over weights where that is the same number.
 *
 * A convolution z = w * y is linear in both, so that with dz the gradient of z
 *
 *     Σ dy·y = Σ dz·z = Σ dw·w,   dy = d loss / d y and dw = d loss / d w through this convolution.
 *
 * Learned step sizes need Σ dy·y of what they quantized. The weights are a hundredth of it or less, and their gradient is
 * computed anyway. The sum differs in its last bits, as by any other order of adding.
 */
import type { Graph, Node, Value } from "../graph/graph.ts";
import { subbyteDomain } from "../graph/graph.ts";
import { elementCount } from "../graph/types.ts";
import { dot } from "../ops/channel-ops.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";
import { newBuilder } from "./registry.ts";

/** The graph with each `Dot` of a convolution's input and its gradient in the shorter form, where there is one. */
export function shortenDots(graph: Graph): Graph {
  const isOwn = (node: Node, op: string) => node.domain === subbyteDomain && node.op === op;
  if (!graph.nodes.some((node) => isOwn(node, "Dot"))) return graph;
  const inputGradients = new Map<Value, Node>();
  const weightGradients = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    const [dz] = node.inputs;
    const [output] = node.outputs;
    if (isOwn(node, "ConvGradInput") && output !== undefined) inputGradients.set(output, node);
    if (isOwn(node, "ConvGradWeight") && dz !== undefined) {
      weightGradients.set(dz, [...(weightGradients.get(dz) ?? []), node]);
    }
  }

  /** The weight and its gradient in the convolution that dy comes from, if y is what went into it. */
  const shorter = (dy: Value | undefined, y: Value | undefined): readonly [Value, Value] | undefined => {
    const gradient = dy === undefined ? undefined : inputGradients.get(dy);
    const [dz, weight] = gradient?.inputs ?? [];
    if (gradient === undefined || dz === undefined || weight === undefined || y === undefined) return undefined;
    if (elementCount(weight.type.shape) >= elementCount(y.type.shape)) return undefined;
    const sibling = weightGradients.get(dz)?.find((node) => node.inputs[1] === y && sameGeometry(node, gradient));
    const [dw] = sibling?.outputs ?? [];
    return dw === undefined ? undefined : [dw, weight];
  };

  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, (node) => {
    const pair = isOwn(node, "Dot") ? shorter(node.inputs[0], node.inputs[1]) : undefined;
    // The gradient of the weight may come later in the graph.
    const [dw, weight] = (pair ?? []).map((value) => map.get(value));
    return dw === undefined || weight === undefined
      ? undefined
      : builder.scope(node.name, () => [dot(builder, dw, weight)]);
  });
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return builder.finish();
}

/** Whether two gradients are of convolutions with equal strides, padding, dilations and groups. */
function sameGeometry(a: Node, b: Node): boolean {
  const geometryOf = ({ attributes: { shape: _, ...geometry } }: Node) => JSON.stringify(geometry);
  return geometryOf(a) === geometryOf(b);
}
