/** How each operator of a float network is carried over: one rule for each, from symbolic inputs to a symbolic output. */

import { operators } from "../../compile/registry.ts";
import { findDefinition } from "../../ops/definition.ts";
import type { Symbolic } from "../symbolic.ts";
import { convRule, gemmRule, matMulRule } from "./layers.ts";
import { addRule, batchNormRule, clipRule, meaningRule, multiplyRule, reluRule } from "./linear.ts";
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
  const { node } = context;
  const rule = node.domain === "" ? rules.get(node.op) : undefined;
  if (rule !== undefined) return rule(context);
  const meaning = findDefinition(operators, node)?.integers?.(node);
  if (meaning === undefined) throw unsupported(node, `there is no integer form of ${node.op}`);
  return meaningRule(meaning)(context);
}
