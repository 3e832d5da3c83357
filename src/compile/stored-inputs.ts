/** What conversion averages, tabulates, multiplies or adds, and so needs codes of, although no layer reads it. */

import type { Graph, Node, Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { isFloat } from "../ops/build/operands.ts";
import { isOperator } from "../ops/definition.ts";
import { addOperator, divideOperator, multiplyOperator, subtractOperator } from "../ops/families/elementwise.ts";
import { maskedScores } from "./attention-masks.ts";
import { type GraphFacts, graphFacts } from "./graph-facts.ts";
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
 * Returns what is stored before each node of a network: the value that an average, an interpolation, a normalization or a softmax reads, of masked
 * scores those before the mask; what a function of one value is tabulated from; what is added to or multiplied by a parameter with a number for
 * each element; both factors of a product of two activations; both branches of a residual addition, or of a difference. Functions, products and interpolations that no
 * layer follows may stay in float, so that nothing is stored for them.
 */
export function storedInputs(network: Network): StoredInputs {
  const { graph } = network;
  const facts = graphFacts(network);
  const isActivation = (value: Value): boolean => facts.fromData.has(value);
  const starts = tableStarts(graph, isActivation);
  const isFollowed = followed(graph);
  // Within a time step sums are of accumulators and products, which integers add up without codes of their own.
  const isResidual = (node: Node): boolean =>
    node.origin.step === undefined &&
    (isOperator(addOperator, node) || (isOperator(subtractOperator, node) && isFollowed(node)));
  const stored: StoredInputs = (node) => {
    const [a, b] = node.inputs;
    const [output] = node.outputs;
    if (a === undefined || output === undefined) return [];
    const scores = maskedScores(facts, node);
    if (scores !== undefined) return isFollowed(node) ? [{ value: scores, place: "input" }] : [];
    if (traitsOf(node).readsCodes === true) {
      const isMasked = isMaskedBefore(facts, a);
      // What no layer follows may stay in float, but for pools, whose integers are exact.
      const isStored = isFollowed(node) || traitsOf(node).passesCodes === "pooled";
      return isStored && isActivation(a) && !isMasked ? [{ value: a, place: "input" }] : [];
    }
    if (traitsOf(node).interpolates?.(node) === true)
      return isActivation(a) && isFollowed(node) ? [{ value: a, place: "input" }] : [];
    const isShared = isOperator(divideOperator, node) && b !== undefined && isActivation(b) && !facts.fromFloats.has(b);
    if (isShared) return isFollowed(node) ? [{ value: a, place: "input" }] : [];
    const start = starts.get(output) ?? output;
    if (start !== output)
      return isFollowed(node) && node.inputs.includes(start) ? [{ value: start, place: "input" }] : [];
    const whole = b === undefined ? undefined : metByParameter(facts, node, a, b);
    if (whole !== undefined) return isFollowed(node) ? [{ value: whole, place: "input" }] : [];
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
  return (node) => stored(node).filter(({ value }) => facts.fromFloats.has(value) && isFloat(value.type.dtype));
}

/** Whether a value is masked scores, written in another shape or not. */
function isMaskedBefore(facts: GraphFacts, value: Value): boolean {
  const producer = facts.producers.get(value);
  const [x] = producer?.inputs ?? [];
  if (producer === undefined || x === undefined) return false;
  return traitsOf(producer).view === true ? isMaskedBefore(facts, x) : maskedScores(facts, producer) !== undefined;
}

/** The activation that a node adds to, or multiplies by, a parameter that differs along several axes. */
function metByParameter({ fromData }: GraphFacts, node: Node, a: Value, b: Value): Value | undefined {
  const isLinear = isOperator(addOperator, node) || isOperator(multiplyOperator, node);
  if (!isLinear || fromData.has(a) === fromData.has(b)) return undefined;
  const [data, parameter] = fromData.has(a) ? [a, b] : [b, a];
  const isWhole = parameter.type.shape.filter((size) => size > 1).length > 1;
  return isWhole && data.type.dtype.startsWith("float") ? data : undefined;
}

/** Returns both inputs of a matrix product of two activations; nothing for other nodes. */
export function multipliedActivations({ fromData }: GraphFacts, node: Node): readonly StoredInput[] {
  const { layer } = traitsOf(node);
  const [data, weight] = layer === undefined ? [] : [node.inputs[layer.data], node.inputs[layer.weight]];
  if (data === undefined || weight === undefined || !fromData.has(data) || !fromData.has(weight)) return [];
  return [
    { value: data, place: "input" },
    { value: weight, place: "factor" },
  ];
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
