/** Rules of what is folded into requantizations: BatchNormalization, additions, factors, limits. */
import { isLowScore, isMask } from "../../compile/attention-masks.ts";
import { floatAttribute } from "../../ir/attributes.ts";
import { makeTensor, toNumbers } from "../../ir/tensor.ts";
import {
  choiceOfEach,
  differenceOfEach,
  productOfEach,
  quotientOfEach,
  sumOfEach,
} from "../../ops/build/functions-of-one.ts";
import type { IntegerMeaning } from "../../ops/definition.ts";
import { wideBound } from "../assembly/assembly.ts";
import {
  type Affine,
  alongAxis,
  type Codes,
  type Constant,
  type Rearranged,
  type Symbolic,
} from "../assembly/symbolic.ts";
import { valuesOfCodes } from "../grid.ts";
import { constantAsCodes } from "./constants.ts";
import { affineAlong, affineOf, linear } from "./linear-map.ts";
import { multipliedCodes } from "./products.ts";
import {
  channelNumbers,
  constantNumbers,
  type IntegerRule,
  nodeShape,
  type RuleContext,
  symbolicInput,
  unsupported,
} from "./rule.ts";
import { viewed } from "./spatial/one-axis.ts";
import { eachRule, functionOfTables, limitedTable } from "./tables.ts";
import { maskedByConstant, maskedByTokens } from "./tokens/attention.ts";
import { asIntegers } from "./tokens/integers.ts";

/** The largest code of a constant that is multiplied element by element: with codes of 8 bits its products stay below 2²⁴. */
const factorBound = 2 ** 15;

/** What a view shows; undefined for other values. */
function shownBy(value: Symbolic): Symbolic | undefined {
  return value.kind === "rearranged" && value.isView === true ? value.inputs[0] : undefined;
}

/** y = γ(x − μ)/√(σ² + ε) + β, in float64. */
export const batchNormRule: IntegerRule = (context) => {
  const { node } = context;
  const x = symbolicInput(context, 0);
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => constantNumbers(context, index));
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const factor = (gamma ?? []).map((value, k) => value / Math.sqrt((variance?.[k] ?? 0) + epsilon));
  const offset = factor.map((value, k) => (beta?.[k] ?? 0) - (mean?.[k] ?? 0) * value);
  if (![...factor, ...offset].every(Number.isFinite)) {
    throw unsupported(
      node,
      "its statistics are not finite",
      "The training diverged here: convert an earlier checkpoint.",
    );
  }
  return linear(context, x, { axis: 1, gain: factor, offset });
};

/** 1 where a mask keeps a score, which it does by adding 0. */
function keptOfMask(values: Float64Array): Float64Array | undefined {
  return isMask(values) ? values.map((value) => Number(value === 0)) : undefined;
}

/** A sum of two values, or of a value and a constant. */
export const addRule: IntegerRule = (context) => {
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  if (a.kind !== "constant" && b.kind !== "constant") {
    const masked = maskedByTokens(context, a, b, keptOfMask) ?? maskedByTokens(context, b, a, keptOfMask);
    if (masked !== undefined) return masked;
  }
  const table = functionOfTables(context, sumOfEach);
  if (table !== undefined) return table;
  if (a.kind === "constant") return shifted(context, b, a);
  if (b.kind === "constant") return shifted(context, a, b);
  return sumOf(context, a, b);
};

/** The sum of any number of values. */
export const sumRule: IntegerRule = (context) => {
  const [first, ...others] = context.inputs.map((_, index) => symbolicInput(context, index));
  if (first === undefined) throw unsupported(context.node, "it adds nothing");
  return others.reduce((sum, each) => addRule({ ...context, inputs: [sum, each] }), first);
};

const negated = { gain: [-1], offset: [0] } as const;

/** A difference of two values, or of a value and a constant. */
export const subtractRule: IntegerRule = (context) => {
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  const table = functionOfTables(context, differenceOfEach);
  if (table !== undefined) return table;
  const minus = linear(context, b, negated);
  if (minus.kind === "constant") return shifted(context, a, minus);
  return a.kind === "constant" ? shifted(context, minus, a) : sumOf(context, a, minus);
};

/** −x */
export const negativeRule: IntegerRule = (context) => linear(context, symbolicInput(context, 0), negated);

/** A quotient by a constant; any other only of functions of one value. */
export const divideRule: IntegerRule = (context) => {
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  if (b.kind !== "constant") {
    const counts = a.kind === "constant" ? undefined : asIntegers(context, b);
    return counts === undefined ? eachRule(context, quotientOfEach) : sharedAmong(context, a, counts);
  }
  const table = functionOfTables(context, quotientOfEach);
  if (table !== undefined) return table;
  const divisor = toNumbers(b.tensor);
  if (divisor.includes(0)) throw unsupported(context.node, "it divides by 0");
  const tensor = makeTensor(
    "float64",
    b.tensor.shape,
    Float64Array.from(divisor, (value) => 1 / value),
  );
  return scaled(context, a, { ...b, tensor });
};

/** A value divided by whole numbers, of which 0 gives 0: multiplied by a table of their reciprocals. */
function sharedAmong(context: RuleContext, value: Symbolic, { tensor, name, shape }: Codes): Symbolic {
  const { assembly } = context;
  const values = valuesOfCodes(assembly.tensor(tensor).form).map((each) => (each === 0 ? 0 : 1 / each));
  const table = { kind: "tabled", name, shape, tensor, axis: 1, tables: 1, values } as const;
  const form = { kind: "wide", low: -factorBound, high: factorBound, scale: 1 / factorBound, zeroPoint: 0 } as const;
  return multipliedCodes(context, value, assembly.codes(assembly.realize(table, form, `${name}.reciprocals`)));
}

function sumOf(context: RuleContext, a: Symbolic, b: Symbolic): Symbolic {
  const { assembly, node } = context;
  const [shownA, shownB] = [shownBy(a), shownBy(b)];
  const shown = shownA ?? shownB;
  if (shown !== undefined && a.shape.join() === b.shape.join()) {
    // Both in the shape behind the view: what is none is stored as codes first, whose order is the same.
    const behind = (value: Symbolic, inner: Symbolic | undefined): Symbolic =>
      inner !== undefined && inner.shape.join() === shown.shape.join()
        ? inner
        : assembly.rearranged(viewed(`${node.name}.axes`, assembly.materialize(value), shown.shape));
    return viewed(node.name, sumOf(context, behind(a, shownA), behind(b, shownB)), nodeShape(node));
  }
  const [left, right] = aligned(context, affineOf(context, a), affineOf(context, b));
  if (left.shape.join() !== right.shape.join()) throw unsupported(node, "its inputs are broadcast");
  // Accumulators first: the branch that ends in a layer, then the codes of the skip branch.
  const terms = [...left.terms, ...right.terms];
  const rank = (tensor: number): number => (assembly.tensor(tensor).form.kind === "accumulator" ? 0 : 1);
  return {
    ...left,
    name: node.name,
    terms: terms.sort((x, y) => rank(x.tensor) - rank(y.tensor)),
    offset: left.offset.map((value, k) => value + (right.offset[k] ?? 0)),
  };
}

/** Two sums with their channels along one axis. */
function aligned(context: RuleContext, a: Affine, b: Affine): readonly [Affine, Affine] {
  const first = alongAxis(a, b.axis);
  return first === undefined ? [a, affineAlong(context, b, a.axis)] : [first, b];
}

/** A value and a constant: one for each channel is folded, one for each element is a summand of its own. */
function shifted(context: RuleContext, value: Symbolic, constant: Constant): Symbolic {
  if (isMask(toNumbers(constant.tensor))) return maskedByConstant(context, value, constant, (each) => each === 0);
  const { axis, values } = channelNumbers(constant, context.node) ?? {};
  if (values === undefined) return sumOf(context, value, constantAsCodes(context, constant, wideBound));
  return linear(context, value, { ...(axis === undefined ? {} : { axis }), gain: [1], offset: values });
}

/** The value that a constant condition chooses everywhere, where nothing of it is repeated; undefined where it does not. */
function chosenWhole({ node }: RuleContext, condition: Constant, x: Symbolic, y: Symbolic): Symbolic | undefined {
  const [first = false, ...others] = toNumbers(condition.tensor).map((each) => each !== 0);
  if (others.some((each) => each !== first)) return undefined;
  const chosen = first ? x : y;
  return chosen.shape.join() === nodeShape(node).join() ? chosen : undefined;
}

/** A choice: by a constant between scores and what is too low for a softmax, or a function of one value. */
export const chosenRule: IntegerRule = (context) => {
  const [condition, x, y] = [symbolicInput(context, 0), symbolicInput(context, 1), symbolicInput(context, 2)];
  const whole = condition.kind === "constant" ? chosenWhole(context, condition, x, y) : undefined;
  if (whole !== undefined) return whole;
  const isLow = (value: Symbolic): boolean => value.kind === "constant" && isLowScore(toNumbers(value.tensor));
  const keepsTrue = isLow(y);
  const scores = keepsTrue ? x : y;
  if ((keepsTrue || isLow(x)) && scores.kind !== "constant") {
    const keeps = (each: number): boolean => (each !== 0) === keepsTrue;
    if (condition.kind === "constant") return maskedByConstant(context, scores, condition, keeps);
    const masked = maskedByTokens(context, scores, condition, (values) => values.map((each) => Number(keeps(each))));
    if (masked !== undefined) return masked;
  }
  return eachRule(context, choiceOfEach);
};

/** A constant factor, or a product of two values. */
export const multiplyRule: IntegerRule = (context) => {
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  const table = functionOfTables(context, productOfEach);
  if (table !== undefined) return table;
  const constant = a.kind === "constant" ? a : b.kind === "constant" ? b : undefined;
  return constant === undefined ? multipliedCodes(context, a, b) : scaled(context, constant === a ? b : a, constant);
};

function scaled(context: RuleContext, value: Symbolic, constant: Constant): Symbolic {
  const { axis, values } = channelNumbers(constant, context.node) ?? {};
  if (values === undefined) return multipliedCodes(context, value, constantAsCodes(context, constant, factorBound));
  return linear(context, value, { ...(axis === undefined ? {} : { axis }), gain: values, offset: [0] });
}

/** max(low, min(x, high)); limits commute with what only moves elements. */
export function limited(context: RuleContext, value: Symbolic, low: number, high: number): Symbolic {
  const { name } = context.node;
  if (value.kind === "rearranged") {
    const { fill } = value;
    if (fill !== undefined && (fill < low || fill > high)) {
      throw unsupported(context.node, `it limits a padding of ${fill} to ${low} … ${high}`);
    }
    const inputs = value.inputs.map((input) => limited(context, input, low, high));
    const rearranged: Rearranged = { ...value, inputs };
    return rearranged;
  }
  if (value.kind === "tabled") return { ...limitedTable(value, low, high), name };
  // Limits of a limited sum are one pair of limits: clamp(clamp(x, a, b), l, h).
  const x = value.kind === "affine" ? value : affineOf(context, value);
  const clip = (limit: number): number => Math.min(Math.max(limit, low), high);
  return { ...x, name, low: clip(x.low), high: clip(x.high) };
}

/** max(x, 0) as a limit. */
export const reluRule: IntegerRule = (context) =>
  limited(context, symbolicInput(context, 0), 0, Number.POSITIVE_INFINITY);

/** The rule of an operator whose definition says what it is on integers. */
export function meaningRule(meaning: IntegerMeaning): IntegerRule {
  return (context) => {
    const x = symbolicInput(context, 0);
    if (meaning.kind === "clamp") return limited(context, x, meaning.low, meaning.high);
    const each = (given: number | readonly number[]) => (typeof given === "number" ? [given] : given);
    const [gain, offset] = [each(meaning.gain), each(meaning.offset ?? 0)];
    const isOne = gain.length === 1 && offset.length === 1;
    return linear(context, x, { ...(isOne ? {} : { axis: 1 }), gain, offset });
  };
}

/** Clip as limits. */
export const clipRule: IntegerRule = (context) => {
  const bound = (index: number, attribute: string, missing: number): number => {
    if (context.inputs[index] !== undefined) return constantNumbers(context, index)[0] ?? missing;
    return floatAttribute(context.node, attribute, missing);
  };
  const low = bound(1, "min", Number.NEGATIVE_INFINITY);
  return limited(context, symbolicInput(context, 0), low, bound(2, "max", Number.POSITIVE_INFINITY));
};
