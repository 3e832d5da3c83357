/** Rules of what is folded into requantizations: BatchNormalization, additions, factors, limits. */
import { floatAttribute } from "../../ir/attributes.ts";
import type { IntegerMeaning } from "../../ops/definition.ts";
import {
  type Affine,
  type Constant,
  channelsOf,
  type Rearranged,
  type Symbolic,
  scaledAffine,
  type Tabled,
} from "../symbolic.ts";
import { viewed } from "./one-axis.ts";
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
import { functionOfBoth } from "./tables.ts";

/** A sum of integers for any value that has, or can be given, codes. */
function affineOf(context: RuleContext, value: Symbolic): Affine {
  if (value.kind === "data" || value.kind === "weight" || value.kind === "constant") {
    throw unsupported(context.node, `its input "${value.name}" is not quantized`);
  }
  return context.assembly.affine(value);
}

/** A sum that a linear operation makes of a value: of what a view shows, and shown the same way. */
function mapped(context: RuleContext, value: Symbolic, operation: (x: Affine) => Affine): Symbolic {
  if (value.kind === "tabled") return mappedTable(context, value, operation);
  const [inner] = value.kind === "rearranged" && value.isView === true ? value.inputs : [];
  if (value.kind !== "rearranged" || inner === undefined) return operation(affineOf(context, value));
  return { ...value, inputs: [mapped(context, inner, operation)] };
}

/** A linear operation on a table: on its values, where all channels have the same factor and offset. */
function mappedTable(context: RuleContext, value: Tabled, operation: (x: Affine) => Affine): Symbolic {
  const one = operation(context.assembly.affine(context.assembly.codes(value.tensor)));
  const ones = new Float64Array(channelsOf(value.shape)).fill(1);
  const unit = { tensor: value.tensor, inputScale: 1, gains: ones };
  const { terms, offset } = operation({ ...one, terms: [unit], offset: ones.map(() => 0), shape: value.shape });
  const gains = terms[0]?.gains ?? ones;
  const [gain = 1, shift = 0] = [gains[0], offset[0]];
  const isSame = gains.every((each) => each === gain) && offset.every((each) => each === shift);
  if (!isSame) return operation(affineOf(context, value));
  return { ...value, name: context.node.name, values: value.values.map((each) => gain * each + shift) };
}

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
  return mapped(context, x, (sum) => scaledAffine(sum, factor, offset, node.name));
};

/** A sum of two values, or of a value and a constant for each channel. */
export const addRule: IntegerRule = (context) => {
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  if (a.kind === "constant") return shifted(context, b, a);
  if (b.kind === "constant") return shifted(context, a, b);
  return sumOf(context, a, b);
};

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
  const both = functionOfBoth(context, a, b, (x, y) => x + y);
  if (both !== undefined) return both;
  const left = affineOf(context, a);
  const right = affineOf(context, b);
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

function shifted(context: RuleContext, value: Symbolic, constant: Constant): Symbolic {
  const offset = channelNumbers(constant, nodeShape(context.node));
  if (offset === undefined) throw unsupported(context.node, "its constant differs within a channel");
  const ones = new Float64Array(offset.length).fill(1);
  return mapped(context, value, (x) => scaledAffine(x, ones, offset, context.node.name));
}

/** A constant factor for each channel. */
export const multiplyRule: IntegerRule = (context) => {
  const { node } = context;
  const [a, b] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  const constant = a.kind === "constant" ? a : b.kind === "constant" ? b : undefined;
  if (constant === undefined) {
    const product = functionOfBoth(context, a, b, (x, y) => x * y);
    if (product !== undefined) return product;
    return multipliedCodes(context, a, b);
  }
  const factor = channelNumbers(constant, nodeShape(node));
  if (factor === undefined) throw unsupported(node, "its constant differs within a channel");
  return mapped(context, constant === a ? b : a, (x) => scaledAffine(x, factor, [], node.name));
};

/** max(low, min(x, high)); limits commute with what only moves elements. */
function limited(context: RuleContext, value: Symbolic, low: number, high: number): Symbolic {
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
  if (value.kind === "tabled") {
    return { ...value, name, values: value.values.map((each) => Math.min(Math.max(each, low), high)) };
  }
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
    const channels = channelsOf(nodeShape(context.node));
    const each = (value: number | readonly number[]) =>
      typeof value === "number" ? new Float64Array(channels).fill(value) : Float64Array.from(value);
    return mapped(context, x, (sum) =>
      scaledAffine(sum, each(meaning.gain), each(meaning.offset ?? 0), context.node.name),
    );
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
