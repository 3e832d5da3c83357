/** What conversion averages, tabulates, multiplies or adds, and so needs codes of, although no layer reads it. */

import type { Graph, Node, Value } from "../ir/graph.ts";
import { dataInputs, type Network } from "../ir/network.ts";
import { isOperator } from "../ops/definition.ts";
import { addOperator, multiplyOperator, subtractOperator } from "../ops/families/elementwise.ts";
import { isLayer, skipBranch } from "./layers.ts";
import { traitsOf } from "./registry.ts";
import { tableStarts } from "./table-starts.ts";

/** An input that is stored, and the end of the name of its quantizer. */
export interface StoredInput {
  readonly value: Value;
  readonly place: "input" | "factor" | "skip" | "branch";
}

/** Returns the inputs of a node that have to be codes although it is no layer. */
export type StoredInputs = (node: Node) => readonly StoredInput[];

/**
 * Returns what is stored before each node of a network: the value that an average or an interpolation reads, or that a function of one value is tabulated
 * from; both factors of a product of two activations; both branches of a residual addition, or of a difference. Functions, products and interpolations that no
 * layer follows may stay in float, so that nothing is stored for them.
 */
export function storedInputs(network: Network): StoredInputs {
  const { graph } = network;
  const isActivation = activations(network);
  const starts = tableStarts(graph, isActivation);
  const isFollowed = followed(graph);
  // Within a time step sums are of accumulators and products, which integers add up without codes of their own.
  const isResidual = (node: Node): boolean =>
    node.origin.step === undefined &&
    (isOperator(addOperator, node) || (isOperator(subtractOperator, node) && isFollowed(node)));
  return (node) => {
    const [a, b] = node.inputs;
    const [output] = node.outputs;
    if (a === undefined || output === undefined) return [];
    if (traitsOf(node).averages === true) return isActivation(a) ? [{ value: a, place: "input" }] : [];
    if (traitsOf(node).interpolates?.(node) === true)
      return isActivation(a) && isFollowed(node) ? [{ value: a, place: "input" }] : [];
    const start = starts.get(output) ?? output;
    if (start !== output)
      return isFollowed(node) && node.inputs.includes(start) ? [{ value: start, place: "input" }] : [];
    if (b === undefined || node.inputs.length !== 2 || !isActivation(a) || !isActivation(b)) return [];
    if (isResidual(node)) {
      const skip = skipBranch(graph, node);
      return [a, b].map((value, index) => ({ value, place: index === skip ? "skip" : "branch" }));
    }
    if (!isOperator(multiplyOperator, node) || !isFollowed(node)) return [];
    return [
      { value: a, place: "input" },
      { value: b, place: "factor" },
    ];
  };
}

/** Whether a value is a number that depends on the network's data. */
function activations(network: Network): (value: Value) => boolean {
  const found = new Set<Value>(dataInputs(network));
  for (const { inputs, outputs } of network.graph.nodes) {
    if (!inputs.some((value) => value !== undefined && found.has(value))) continue;
    for (const output of outputs) if (output.known === undefined) found.add(output);
  }
  return (value) => found.has(value);
}

/** Whether the result of a node reaches a layer. */
function followed({ nodes }: Graph): (node: Node) => boolean {
  const needed = new Set<Value | undefined>();
  const found = new Set<Node>();
  for (const node of nodes.toReversed()) {
    if (node.outputs.some((output) => needed.has(output))) found.add(node);
    if (found.has(node) || isLayer(node)) for (const input of node.inputs) needed.add(input);
  }
  return (node) => found.has(node);
}
