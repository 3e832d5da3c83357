/**
 * Functions of one value: which values of a graph are functions of one other value, element by element, and where the table of each would
 * start. x·σ(1.7·x) is one function of x, however many nodes compute it.
 */

import type { Graph, Node, Value } from "../ir/graph.ts";
import { sameShape } from "../ir/types.ts";
import { traitsOf } from "./registry.ts";

/** Whether a value depends on the network's data. */
export type IsActivation = (value: Value) => boolean;

/**
 * Returns for each value the value that it is tabulated from: itself where it is no function of another one, or where it is only scaled,
 * shifted or limited, which conversion folds into a requantization.
 */
export function tableStarts({ nodes }: Graph, isActivation: IsActivation): ReadonlyMap<Value, Value> {
  const made = new Map<Value, Node>();
  const starts = new Map<Value, Value>();
  const chains = new Map<Value, readonly Value[]>();
  const startOf = (value: Value): Value => starts.get(value) ?? value;
  const chainOf = (value: Value): readonly Value[] => chains.get(value) ?? [value];
  const argumentsOf = (value: Value): readonly Value[] => {
    const node = made.get(value);
    return node === undefined ? [] : (functionArguments(node, isActivation) ?? []);
  };
  /** What lies between a value and the one that it is a function of starts where that one does. */
  const markBetween = (value: Value, nearest: Value, start: Value): void => {
    starts.set(value, start);
    for (const inner of argumentsOf(value)) {
      if (inner !== nearest && chainOf(inner).includes(nearest)) markBetween(inner, nearest, start);
    }
  };
  for (const node of nodes) {
    const [output] = node.outputs;
    const values = functionArguments(node, isActivation);
    const [first, ...others] = values ?? [];
    if (output === undefined || first === undefined) continue;
    made.set(output, node);
    const common = chainOf(first).filter((each) => others.every((other) => chainOf(other).includes(each)));
    const [nearest] = common;
    if (nearest === undefined) continue;
    chains.set(output, [output, ...common]);
    const isMerge = node.inputs.filter((input) => input !== undefined && isActivation(input)).length > 1;
    if (isMerge) markBetween(output, nearest, startOf(nearest));
    else if (!isFolded(node, first) || startOf(first) !== first) starts.set(output, startOf(first));
  }
  return starts;
}

/** The activations that a node is a function of, place by place; undefined where it is none. */
function functionArguments(node: Node, isActivation: IsActivation): readonly Value[] | undefined {
  const { ofOne, ofEach } = traitsOf(node);
  if (ofOne === undefined && ofEach === undefined) return undefined;
  const shape = node.outputs[0]?.type.shape;
  const values = node.inputs.filter((value) => value !== undefined && isActivation(value));
  const distinct = [...new Set(values)].flatMap((value) => value ?? []);
  const isSame = shape !== undefined && distinct.every((value) => sameShape(value.type.shape, shape));
  return isSame && distinct.length > 0 ? distinct : undefined;
}

/** Whether conversion folds a node of one activation into what surrounds it. */
function isFolded(node: Node, x: Value): boolean {
  const foldedIn = traitsOf(node).ofEach?.foldedIn;
  if (foldedIn === undefined) return false;
  return foldedIn === "all" || foldedIn.includes(node.inputs.indexOf(x));
}
