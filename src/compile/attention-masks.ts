/** Attention masks: what is added to scores, or chosen in their place, so that softmax gives some of them nothing. */

import type { Node, Value } from "../ir/graph.ts";
import { toNumbers } from "../ir/tensor.ts";
import { isOperator } from "../ops/definition.ts";
import { whereOperator } from "../ops/families/comparison.ts";
import { addOperator } from "../ops/families/elementwise.ts";
import type { GraphFacts } from "./graph-facts.ts";

/** A score that much lower than 0 leaves no trace in a softmax of float32 numbers. */
const lowestScore = -64;

/** Whether numbers are those of a mask: 0 where scores are kept, so low elsewhere that nothing is left. */
export function isMask(numbers: Iterable<number>): boolean {
  let masks = false;
  for (const number of numbers) {
    if (number <= lowestScore) masks = true;
    else if (number !== 0) return false;
  }
  return masks;
}

/** Whether numbers are all so low that a softmax gives nothing for them. */
export function isLowScore(numbers: Iterable<number>): boolean {
  let count = 0;
  for (const number of numbers) {
    if (number > lowestScore) return false;
    count++;
  }
  return count > 0;
}

/** Returns the scores that a node masks; undefined where it does something else. */
export function maskedScores({ constants, fromData, fromFloats }: GraphFacts, node: Node): Value | undefined {
  const numbersOf = (value: Value | undefined): number[] | undefined => {
    const tensor = value === undefined ? undefined : constants.get(value);
    return tensor === undefined ? undefined : toNumbers(tensor);
  };
  const [a, b, c] = node.inputs;
  if (isOperator(addOperator, node) && a !== undefined && b !== undefined) {
    const masks = (value: Value): boolean => {
      const numbers = numbersOf(value);
      // What token numbers and nothing else decides says which tokens there are.
      return numbers === undefined ? fromData.has(value) && !fromFloats.has(value) : isMask(numbers);
    };
    if (masks(a)) return b;
    return masks(b) ? a : undefined;
  }
  if (!isOperator(whereOperator, node)) return undefined;
  if (isLowScore(numbersOf(c) ?? [])) return b;
  return isLowScore(numbersOf(b) ?? []) ? c : undefined;
}
