/** What conversion averages, tabulates or multiplies, and so needs codes of, although no layer reads it. */

import type { Node, Value } from "../ir/graph.ts";
import { isOperator } from "../ops/definition.ts";
import { multiplyOperator } from "../ops/families/elementwise.ts";
import { traitsOf } from "./registry.ts";

function isFunction(node: Node | undefined): node is Node {
  return node !== undefined && traitsOf(node).ofOne !== undefined;
}

/** The value that a value is a function of; the value itself where it is none. */
function rootOf(producers: ReadonlyMap<Value, Node>, value: Value): Value {
  const producer = producers.get(value);
  const [input] = producer?.inputs ?? [];
  return isFunction(producer) && input !== undefined ? rootOf(producers, input) : value;
}

/**
 * Returns the inputs of a node that have to be codes although it is no layer: what an average or the first of some functions of one
 * value reads; both factors of a product of two activations, and of a product of functions of one value, as SiLU x·σ(x), that value.
 * Residual additions are not among them.
 */
export function storedInputs(producers: ReadonlyMap<Value, Node>, node: Node): readonly Value[] {
  const [a, b] = node.inputs;
  if (a === undefined) return [];
  if (traitsOf(node).averages === true) return [a];
  if (isFunction(node)) return isFunction(producers.get(a)) ? [] : [a];
  if (!isOperator(multiplyOperator, node) || b === undefined || a === b) return [];
  const root = rootOf(producers, a);
  if (root === rootOf(producers, b)) return [root];
  return producers.has(a) && producers.has(b) ? [a, b] : [];
}

/** The end of the name of a stored input: of one alone `input`, of two also `factor`. */
export function nameOfStored(stored: readonly Value[], input: Value | undefined): "input" | "factor" {
  return stored.length > 1 && input === stored[1] ? "factor" : "input";
}
