/** Functions of one value and products in a graph: what conversion tabulates or multiplies, and so needs codes of. */

import type { Node, Value } from "../ir/graph.ts";
import { isOperator } from "../ops/definition.ts";
import { multiplyOperator } from "../ops/families/elementwise.ts";
import { traitsOf } from "./registry.ts";

function isFunction(node: Node | undefined): node is Node {
  return node !== undefined && traitsOf(node).ofOne !== undefined;
}

/** Whether a node is the first of some functions of one value: what it reads has to be codes, what the others read follows from them. */
export function isTabulated(producers: ReadonlyMap<Value, Node>, node: Node): boolean {
  const [input] = node.inputs;
  return isFunction(node) && input !== undefined && !isFunction(producers.get(input));
}

/** The value that a value is a function of; the value itself where it is none. */
function rootOf(producers: ReadonlyMap<Value, Node>, value: Value): Value {
  const producer = producers.get(value);
  const [input] = producer?.inputs ?? [];
  return isFunction(producer) && input !== undefined ? rootOf(producers, input) : value;
}

/** Whether a node multiplies two different values of which none is a parameter or a constant: conversion needs codes of both. */
export function isProduct(producers: ReadonlyMap<Value, Node>, node: Node): boolean {
  const [a, b] = node.inputs;
  if (!isOperator(multiplyOperator, node) || a === undefined || b === undefined || a === b) return false;
  return producers.has(a) && producers.has(b);
}

/** The value that both factors of a product are functions of, as in SiLU x·σ(x); undefined for other nodes. */
export function rootOfBoth(producers: ReadonlyMap<Value, Node>, node: Node): Value | undefined {
  const [a, b] = node.inputs;
  if (!isOperator(multiplyOperator, node) || a === undefined || b === undefined || a === b) return undefined;
  const root = rootOf(producers, a);
  return root === rootOf(producers, b) ? root : undefined;
}
