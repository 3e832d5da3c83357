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
import type { Graph, Node, Value } from "../../ir/graph.ts";
import { elementCount } from "../../ir/types.ts";
import { isOperator } from "../../ops/definition.ts";
import { convGradInputOperator, convGradWeightOperator } from "../../ops/families/conv.ts";
import { dotOperator } from "../../ops/internal/channel-ops.ts";

/** The graph with each `Dot` of a convolution's input and its gradient in the shorter form, where there is one. */
export function shortenDots(graph: Graph): Graph {
  const inputGradients = new Map<Value, Node>();
  const weightGradients = new Map<Value, Node[]>();
  const nodes = graph.nodes.map((node) => {
    const [first, second] = node.inputs;
    const [output] = node.outputs;
    if (isOperator(convGradInputOperator, node) && output !== undefined) inputGradients.set(output, node);
    if (isOperator(convGradWeightOperator, node) && first !== undefined) {
      weightGradients.set(first, [...(weightGradients.get(first) ?? []), node]);
    }
    // A gradient of the weight that comes later in the graph could not be read here.
    const inputs = isOperator(dotOperator, node) ? shorter(first, second) : undefined;
    return inputs === undefined ? node : { ...node, inputs };
  });
  return { ...graph, nodes };

  /** The weight's gradient and the weight, in the convolution that dy comes from, if y is what went into it. */
  function shorter(dy: Value | undefined, y: Value | undefined): readonly Value[] | undefined {
    const gradient = dy === undefined ? undefined : inputGradients.get(dy);
    const [dz, weight] = gradient?.inputs ?? [];
    if (gradient === undefined || dz === undefined || weight === undefined || y === undefined) return undefined;
    if (elementCount(weight.type.shape) >= elementCount(y.type.shape)) return undefined;
    const sibling = weightGradients.get(dz)?.find((node) => node.inputs[1] === y && sameGeometry(node, gradient));
    const [dw] = sibling?.outputs ?? [];
    return dw === undefined ? undefined : [dw, weight];
  }
}

/** Whether two gradients are of convolutions with equal strides, padding, dilations and groups. */
function sameGeometry(a: Node, b: Node): boolean {
  const geometryOf = ({ attributes: { shape: _, ...geometry } }: Node) => JSON.stringify(geometry);
  return geometryOf(a) === geometryOf(b);
}
