/**
 * Values of operators on integers that depend on the batch, as files write shapes: `Equal(shape, -1)` is false for every
 * batch, `batch · 197 / 197` is the batch. What is not decided for every batch at once has no such value.
 */

import type { Attributes } from "../../../ir/graph.ts";
import {
  type Dimension,
  type Dimensions,
  isSymbolic,
  minus,
  plus,
  productOf,
  quotient,
  signOf,
  times,
} from "../../../ir/size.ts";
import type { DType, Shape } from "../../../ir/types.ts";
import { dtypeFromOnnx } from "../../../onnx/wire/proto.ts";

/** A tensor of integers or truth values, some of which depend on the batch. */
export interface SymbolicTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly elements: Dimensions;
}

/** Returns an element of the output by those of the inputs; undefined where the batch decides it. */
export type SymbolicElement = (operands: Dimensions) => Dimension | undefined;

/** Returns the output by the inputs; undefined where it is not known for every batch. */
export type SymbolicValue = (inputs: readonly SymbolicTensor[], attributes: Attributes) => SymbolicTensor | undefined;

/**
 * An operator's value on integers that depend on the batch. `arranges`: it arranges the elements of its first input or of all
 * inputs, as its value on constants does. `element`: it computes element by element, with broadcasting. `value`: any other way.
 */
export type SymbolicRule =
  | { readonly kind: "arranges"; readonly from: "first" | "all" }
  | { readonly kind: "element"; readonly compute: SymbolicElement }
  | { readonly kind: "value"; readonly compute: SymbolicValue };

/** The rule of operators that arrange the elements of their first input. */
export const arrangesFirst: SymbolicRule = { kind: "arranges", from: "first" };
/** The rule of operators that arrange the elements of all inputs. */
export const arrangesAll: SymbolicRule = { kind: "arranges", from: "all" };

function element(compute: SymbolicElement): SymbolicRule {
  return { kind: "element", compute };
}

function binary(compute: (a: Dimension, b: Dimension) => Dimension | undefined): SymbolicRule {
  return element(([a = 0, b = 0]) => compute(a, b));
}

/** Any number of operands, two at a time. */
function joined(compute: (a: Dimension, b: Dimension) => Dimension | undefined): SymbolicRule {
  return element(([first, ...others]) =>
    others.reduce<Dimension | undefined>((all, each) => (all === undefined ? undefined : compute(all, each)), first),
  );
}

function truth(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function opposite(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

/** Whether a is more than b for every batch; undefined where it depends on the batch. */
function exceeds(a: Dimension, b: Dimension): boolean | undefined {
  const sign = signOf(minus(a, b));
  if (sign === "positive") return true;
  return sign === "zero" || sign === "negative" || sign === "not positive" ? false : undefined;
}

function differs(a: Dimension, b: Dimension): boolean | undefined {
  const sign = signOf(minus(a, b));
  if (sign === "zero") return false;
  return sign === "positive" || sign === "negative" ? true : undefined;
}

/** a where it is the larger for every batch, and so on. */
function largest(a: Dimension, b: Dimension): Dimension | undefined {
  if (exceeds(b, a) === false) return a;
  return exceeds(a, b) === false ? b : undefined;
}

function smallest(a: Dimension, b: Dimension): Dimension | undefined {
  if (exceeds(a, b) === false) return a;
  return exceeds(b, a) === false ? b : undefined;
}

function divided(a: Dimension, b: Dimension): Dimension | undefined {
  if (isSymbolic(a) || isSymbolic(b)) return quotient(a, b);
  return b === 0 ? undefined : Math.trunc(a / b);
}

/** a + b */
export const symbolicSum: SymbolicRule = binary(plus);
/** The sum of any number of inputs. */
export const symbolicTotal: SymbolicRule = joined(plus);
/** a − b */
export const symbolicDifference: SymbolicRule = binary(minus);
/** a·b */
export const symbolicProduct: SymbolicRule = binary(times);
/** a/b, as integers are divided. */
export const symbolicQuotient: SymbolicRule = binary(divided);
/** −a */
export const symbolicNegative: SymbolicRule = element(([a = 0]) => times(a, -1));
/** The largest of any number of inputs. */
export const symbolicLargest: SymbolicRule = joined(largest);
/** The smallest of any number of inputs. */
export const symbolicSmallest: SymbolicRule = joined(smallest);
/** a = b */
export const symbolicEqual: SymbolicRule = binary((a, b) => truth(opposite(differs(a, b))));
/** a > b */
export const symbolicGreater: SymbolicRule = binary((a, b) => truth(exceeds(a, b)));
/** a < b */
export const symbolicLess: SymbolicRule = binary((a, b) => truth(exceeds(b, a)));
/** a ≥ b */
export const symbolicGreaterOrEqual: SymbolicRule = binary((a, b) => truth(opposite(exceeds(b, a))));
/** a ≤ b */
export const symbolicLessOrEqual: SymbolicRule = binary((a, b) => truth(opposite(exceeds(a, b))));
/** The opposite truth value. */
export const symbolicNot: SymbolicRule = element(([a]) => (typeof a === "number" ? Number(a === 0) : undefined));
/** Both of two truth values. */
export const symbolicAnd: SymbolicRule = binary((a, b) => {
  if (a === 0 || b === 0) return 0;
  return isSymbolic(a) || isSymbolic(b) ? undefined : 1;
});
/** One of two truth values, or both. */
export const symbolicOr: SymbolicRule = binary((a, b) =>
  isSymbolic(a) || isSymbolic(b) ? undefined : Number(a !== 0 || b !== 0),
);
/** The second operand where the first holds, the third elsewhere. */
export const symbolicChoice: SymbolicRule = element(([condition, a, b]) =>
  typeof condition === "number" ? (condition === 0 ? b : a) : undefined,
);

/** The same integers in another element type; truth values where they are zero, or are not, for every batch. */
export const symbolicCast: SymbolicRule = {
  kind: "value",
  compute: ([tensor], { to }) => {
    const dtype = typeof to === "number" ? dtypeFromOnnx(to) : undefined;
    if (tensor === undefined || dtype === undefined) return undefined;
    if (dtype === "int64" || dtype === "int32") return { ...tensor, dtype };
    if (dtype !== "bool") return undefined;
    const elements = allKnown(tensor.elements.map((each) => truth(differs(each, 0))));
    return elements && { dtype, shape: tensor.shape, elements };
  },
};

/** A reduction of all elements of a list to one. */
function reduction(compute: (elements: Dimensions) => Dimension): SymbolicRule {
  return {
    kind: "value",
    compute: ([tensor, axes], attributes) => {
      if (tensor === undefined || tensor.shape.length !== 1) return undefined;
      if (attributes.noop_with_empty_axes === 1 && (axes?.elements.length ?? 0) === 0) return undefined;
      const shape = attributes.keepdims === 0 ? [] : [1];
      return { dtype: tensor.dtype, shape, elements: [compute(tensor.elements)] };
    },
  };
}

/** The product of a list. */
export const symbolicReduceProduct: SymbolicRule = reduction(productOf);
/** The sum of a list. */
export const symbolicReduceSum: SymbolicRule = reduction((elements) => elements.reduce<Dimension>(plus, 0));

/** Rules whose results are polynomials wherever their operands are, whatever the batch is. */
const polynomials: ReadonlySet<SymbolicRule> = new Set([
  arrangesFirst,
  arrangesAll,
  symbolicSum,
  symbolicTotal,
  symbolicDifference,
  symbolicProduct,
  symbolicNegative,
]);

/** Returns whether an operator with this rule makes polynomials in the batch of polynomials, without a case that the batch decides. */
export function keepsPolynomials(rule: SymbolicRule | undefined): boolean {
  return rule !== undefined && polynomials.has(rule);
}

/** Elements that are all known; undefined where one is not. */
export function allKnown(elements: readonly (Dimension | undefined)[]): Dimensions | undefined {
  const known = elements.filter((each) => each !== undefined);
  return known.length === elements.length ? known : undefined;
}
