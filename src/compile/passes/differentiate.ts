/**
 * Reverse-mode differentiation, graph to graph: walks the nodes backwards, asks each operator's gradient rule for the
 * gradients of its inputs, and adds up the contributions where a value is used more than once.
 */
import { GraphError, UnsupportedError } from "../../errors.ts";
import { type GraphBuilder, type Node, showNode, type Value } from "../../ir/graph.ts";
import { originOf } from "../../ir/origin.ts";
import { sameShape, showType } from "../../ir/types.ts";
import { definitionOf, type GradientContext, type OperatorRegistry } from "../../ops/definition.ts";
import { add } from "../../ops/families/elementwise.ts";

/**
 * Adds to `builder` the nodes that compute d loss / d value for each value in `wanted`.
 *
 * @param nodes The forward nodes, in order, already in `builder`.
 * @param loss A scalar.
 * @returns The gradient of each wanted value; values that do not reach the loss are absent.
 * @throws UnsupportedError naming the first node on the way whose operator has no gradient.
 */
export function differentiate(
  builder: GraphBuilder,
  registry: OperatorRegistry,
  nodes: readonly Node[],
  loss: Value,
  wanted: readonly Value[],
): Map<Value, Value> {
  if (loss.type.shape.length !== 0) {
    throw new GraphError(`the loss must be a scalar, got ${showType(loss.type)}`, { where: `graph "${builder.name}"` });
  }
  const forward = [...nodes];
  const carries = carriesGradient(registry, forward, wanted);
  const gradients = new Map<Value, Value>([[loss, builder.scalar(1)]]);
  for (let i = forward.length - 1; i >= 0; i--) {
    const node = forward[i];
    if (node === undefined || !node.outputs.some((value) => gradients.has(value) && carries.has(value))) continue;
    const backward = { origin: originOf("backward", node.origin.layer) };
    const contributions = builder.from(backward, () =>
      builder.scope(`gradient/${node.name}`, () => applyRule(builder, registry, node, gradients, carries)),
    );
    node.inputs.forEach((input, index) => {
      const contribution = contributions[index];
      if (input === undefined || contribution === undefined || !carries.has(input)) return;
      if (!sameShape(contribution.type.shape, input.type.shape)) {
        throw new GraphError(
          `the gradient of input ${index} is ${showType(contribution.type)}, the input is ${showType(input.type)}`,
          { where: showNode(node) },
        );
      }
      const sum = gradients.get(input);
      gradients.set(
        input,
        sum === undefined ? contribution : builder.from(backward, () => add(builder, sum, contribution)),
      );
    });
  }
  return new Map(
    wanted.flatMap((value) => {
      const gradient = gradients.get(value);
      return gradient === undefined ? [] : [[value, gradient] as const];
    }),
  );
}

function applyRule(
  builder: GraphBuilder,
  registry: OperatorRegistry,
  node: Node,
  gradients: ReadonlyMap<Value, Value>,
  carries: ReadonlySet<Value>,
): readonly (Value | undefined)[] {
  const { gradient } = definitionOf(registry, node);
  if (gradient === undefined) {
    throw new UnsupportedError(`${node.op} has no gradient, and a trained parameter lies before it`, {
      where: showNode(node),
      remedy:
        "Freeze the parameters before this node, or replace it by an operator that docs/OPS.md lists as trainable.",
    });
  }
  return gradient(makeContext(builder, node, gradients, carries));
}

function makeContext(
  builder: GraphBuilder,
  node: Node,
  gradients: ReadonlyMap<Value, Value>,
  carries: ReadonlySet<Value>,
): GradientContext {
  const outputGradients = node.outputs.map((value) => gradients.get(value));
  const present = (value: Value | undefined, what: string): Value => {
    if (value === undefined) throw new GraphError(`${what} is missing`, { where: showNode(node) });
    return value;
  };
  return {
    builder,
    node,
    outputGradients,
    needed: node.inputs.map((value) => value !== undefined && carries.has(value)),
    input: (index) => present(node.inputs[index], `input ${index}`),
    output: (index) => present(node.outputs[index], `output ${index}`),
    outputGradient: (index) => present(outputGradients[index], `the gradient of output ${index}`),
  };
}

/** The values that depend on a wanted value through floating-point operators: only these need a gradient. */
function carriesGradient(registry: OperatorRegistry, nodes: readonly Node[], wanted: readonly Value[]): Set<Value> {
  const carries = new Set(wanted);
  for (const node of nodes) {
    if (!node.inputs.some((value) => value !== undefined && carries.has(value))) continue;
    definitionOf(registry, node);
    for (const output of node.outputs) if (output.type.dtype.startsWith("float")) carries.add(output);
  }
  return carries;
}
