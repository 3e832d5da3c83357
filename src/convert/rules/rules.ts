/** How each operator of a float network is carried over: one rule for each, from symbolic inputs to a symbolic output. */

import type { Symbolic } from "../symbolic.ts";
import { convRule, gemmRule, matMulRule } from "./layers.ts";
import { addRule, batchNormRule, clipRule, multiplyRule, reluRule } from "./linear.ts";
import { inputOf, type Rule, type RuleContext, unsupported } from "./rule.ts";
import { averagePoolRule, concatRule, globalAverageRule, maxPoolRule, reshapeRule } from "./shape.ts";

export const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["Conv", convRule],
  ["Gemm", gemmRule],
  ["MatMul", matMulRule],
  ["BatchNormalization", batchNormRule],
  ["Add", addRule],
  ["Mul", multiplyRule],
  ["Relu", reluRule],
  ["Clip", clipRule],
  ["MaxPool", maxPoolRule],
  ["AveragePool", averagePoolRule],
  ["GlobalAveragePool", globalAverageRule],
  ["Flatten", reshapeRule],
  ["Reshape", reshapeRule],
  ["Squeeze", reshapeRule],
  ["Unsqueeze", reshapeRule],
  ["Concat", concatRule],
  ["Identity", (context) => inputOf(context, 0)],
  ["Dropout", (context) => inputOf(context, 0)],
]);

/** The value of a node. @throws UnsupportedError naming it when there is no integer form of its operator. */
export function applyRule(context: RuleContext): Symbolic {
  const rule = rules.get(context.node.op);
  if (rule === undefined || context.node.domain !== "") {
    throw unsupported(context.node, `there is no integer form of ${context.node.op}`);
  }
  return rule(context);
}
