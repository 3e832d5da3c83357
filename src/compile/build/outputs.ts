/** The meaning of a network's output: the scores of classes, raw or after a Softmax, or values. */
import type { Node, Value } from "../../ir/graph.ts";
import type { Network } from "../../ir/network.ts";
import { isOperator } from "../../ops/definition.ts";
import { softmaxOperator } from "../../ops/families/softmax.ts";

/** `classes`: the last axis scores one class against the others; `values`: numbers to come near to. */
export type OutputKind = "classes" | "values";

/** The Softmax over the last axis that gives a value, where one does. */
function softmaxOf(nodes: readonly Node[], value: Value): Node | undefined {
  const node = nodes.findLast(({ outputs }) => outputs.includes(value));
  const { axis = -1 } = node?.attributes ?? {};
  const isLast = axis === -1 || axis === value.type.shape.length - 1;
  return node !== undefined && isOperator(softmaxOperator, node) && isLast ? node : undefined;
}

/** The scores that a loss takes: what enters the Softmax that a network ends in, or its output. */
export function logitsOf(nodes: readonly Node[], output: Value): Value {
  return softmaxOf(nodes, output)?.inputs[0] ?? output;
}

/** Whether a network ends in a Softmax, so that its output is probabilities. */
export function givesProbabilities({ graph }: Network): boolean {
  const [output] = graph.outputs;
  return output !== undefined && softmaxOf(graph.nodes, output.value) !== undefined;
}

/** Returns the probable meaning of an output: probabilities, and two or more columns for each sample, are classes. */
export function outputKindOf(network: Network): OutputKind {
  const shape = network.graph.outputs[0]?.value.type.shape ?? [];
  return givesProbabilities(network) || (shape.length === 2 && (shape[1] ?? 1) > 1) ? "classes" : "values";
}
