/** The conversion rules: one for each operator of a float network, from symbolic inputs to a symbolic output. */

import { operators } from "../../compile/registry.ts";
import { findDefinition, type OperatorDefinition } from "../../ops/definition.ts";
import { clipOperator, reluOperator } from "../../ops/families/activations.ts";
import { castOperator } from "../../ops/families/cast.ts";
import { isNanOperator, whereOperator } from "../../ops/families/comparison.ts";
import { convOperator, convTransposeOperator } from "../../ops/families/conv.ts";
import {
  addOperator,
  divideOperator,
  identityOperator,
  maximumOperator,
  minimumOperator,
  multiplyOperator,
  negativeOperator,
  subtractOperator,
  sumOperator,
} from "../../ops/families/elementwise.ts";
import { gemmOperator, matmulOperator } from "../../ops/families/matmul.ts";
import { batchNormalizationOperator } from "../../ops/families/normalization.ts";
import { averagePoolOperator, globalAveragePoolOperator, maxPoolOperator } from "../../ops/families/pool.ts";
import { reduceMeanOperator, reduceSumOperator } from "../../ops/families/reduce.ts";
import {
  concatOperator,
  dropoutOperator,
  flattenOperator,
  reshapeOperator,
  squeezeOperator,
  unsqueezeOperator,
} from "../../ops/families/shape/shape-ops.ts";
import { softmaxOperator } from "../../ops/families/softmax.ts";
import { expandBatchOperator } from "../../ops/internal/expand-batch.ts";
import type { Symbolic } from "../assembly/symbolic.ts";
import { constantOutputs, falseRule, ofBatch } from "./constants.ts";
import { maximumRule, minimumRule } from "./extrema.ts";
import { convRule, gemmRule, matMulRule } from "./layers.ts";
import {
  addRule,
  batchNormRule,
  chosenRule,
  clipRule,
  divideRule,
  meaningRule,
  multiplyRule,
  negativeRule,
  reluRule,
  subtractRule,
  sumRule,
} from "./linear.ts";
import { meanRule, totalRule } from "./mean.ts";
import { movedValue } from "./moved.ts";
import { type IntegerRule, type RuleContext, symbolicInput, unsupported } from "./rule.ts";
import { averagePoolRule, concatRule, globalAverageRule, maxPoolRule, reshapeRule } from "./shape.ts";
import { interpolationRule } from "./spatial/resampling.ts";
import { convTransposeRule } from "./spatial/transposed.ts";
import { eachRule, functionRule } from "./tables.ts";
import { softmaxRule } from "./tokens/attention.ts";
import { rowsRule } from "./tokens/embedding.ts";
import { asIntegers } from "./tokens/integers.ts";
import { normalizationRule } from "./tokens/normalization.ts";

const kept: IntegerRule = (context) => symbolicInput(context, 0);

/** Another element type: numbers stay what they are, but for those that become true or false. */
const castRule: IntegerRule = (context) => {
  const { node } = context;
  const [from, to] = [node.inputs[0]?.type.dtype ?? "float32", node.outputs[0]?.type.dtype ?? "float32"];
  if (to === "bool") return functionRule(context, () => (x) => Number(x !== 0));
  const numbers = asIntegers(context, symbolicInput(context, 0));
  if (numbers !== undefined) return numbers;
  if (from.startsWith("float") && !to.startsWith("float")) return functionRule(context, () => Math.trunc);
  return symbolicInput(context, 0);
};

/** What every sample gets: for one sample nothing is repeated. */
const keptRow: IntegerRule = (context) => {
  const x = symbolicInput(context, 0);
  const { node } = context;
  if (x.shape.join() !== node.outputs[0]?.type.shape.join()) throw unsupported(node, "it repeats rows within a sample");
  return x;
};

/** The rule of each operator that has an integer form; docs/OPS.md shows which have none. */
export const integerRules: ReadonlyMap<OperatorDefinition, IntegerRule> = new Map([
  [convOperator, convRule],
  [convTransposeOperator, convTransposeRule],
  [gemmOperator, gemmRule],
  [matmulOperator, matMulRule],
  [batchNormalizationOperator, batchNormRule],
  [addOperator, addRule],
  [multiplyOperator, multiplyRule],
  [subtractOperator, subtractRule],
  [divideOperator, divideRule],
  [sumOperator, sumRule],
  [maximumOperator, maximumRule],
  [minimumOperator, minimumRule],
  [negativeOperator, negativeRule],
  [reluOperator, reluRule],
  [clipOperator, clipRule],
  [maxPoolOperator, maxPoolRule],
  [averagePoolOperator, averagePoolRule],
  [globalAveragePoolOperator, globalAverageRule],
  [reduceMeanOperator, meanRule],
  [reduceSumOperator, totalRule],
  [flattenOperator, reshapeRule],
  [reshapeOperator, reshapeRule],
  [squeezeOperator, reshapeRule],
  [unsqueezeOperator, reshapeRule],
  [concatOperator, concatRule],
  [softmaxOperator, softmaxRule],
  [whereOperator, chosenRule],
  // Codes are numbers: torch asks it of a softmax whose rows a mask may leave empty, which are 0 here too.
  [isNanOperator, falseRule],
  [castOperator, castRule],
  [identityOperator, kept],
  [expandBatchOperator, keptRow],
  [dropoutOperator, kept],
]);

/**
 * The values of a node's outputs, of the first one alone where its operator has no others.
 *
 * @throws UnsupportedError naming it when there is no integer form of its operator.
 */
export function applyRule(context: RuleContext): readonly Symbolic[] {
  const { node, assembly } = context;
  const definition = findDefinition(operators, node);
  const constants = constantOutputs(context, definition?.fold);
  if (constants !== undefined) return constants;
  const rule = definition === undefined ? undefined : integerRules.get(definition);
  if (rule !== undefined) return [rule(context)];
  const meaning = definition?.integers?.(node);
  if (meaning !== undefined) return [meaningRule(meaning)(context)];
  const known = node.outputs[0]?.known;
  if (known !== undefined) return [ofBatch(node, known)];
  const { ofOne, ofEach, normalizes, interpolates } = definition?.traits ?? {};
  if (normalizes !== undefined) return [normalizationRule(context, normalizes(node))];
  if (interpolates?.(node) === true) return [interpolationRule(context)];
  if (ofOne !== undefined) return [functionRule(context, ofOne)];
  if (ofEach !== undefined) return [eachRule(context, ofEach)];
  const rows = definition?.traits?.picksRows === undefined ? undefined : rowsRule(context);
  if (rows !== undefined) return [rows];
  const fold = definition?.fold;
  const { movement = false } = definition?.traits ?? {};
  const isMovement = typeof movement === "boolean" ? movement : movement(node);
  const moved =
    fold === undefined || !isMovement ? [] : node.outputs.flatMap((_, index) => movedValue(context, fold, index) ?? []);
  if (moved.length === node.outputs.length) {
    return moved.map((value) => (value.kind === "rearranged" ? assembly.rearranged(value) : value));
  }
  throw unsupported(node, `there is no integer form of ${node.op}`);
}
