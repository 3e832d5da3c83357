/** Values of elementwise operators on constants. */

import { floatAttribute, intAttribute } from "../../../ir/attributes.ts";
import type { Tensor } from "../../../ir/tensor.ts";
import { elementCount } from "../../../ir/types.ts";
import { broadcastIndex, type Fold, type FoldRule, fromNumbers, numbersOf } from "./data.ts";

type Unary = (x: number) => number;
type Binary = (x: number, y: number) => number;
type Variadic = (values: readonly number[]) => number;

/** Applies a function to the broadcast elements of all inputs. */
function elementwise(compute: Variadic, integer: Variadic = compute): Fold {
  return ({ inputs, types: [type] }) => {
    if (type === undefined) return undefined;
    const operands: { readonly numbers: readonly number[]; readonly at: (index: number) => number }[] = [];
    for (const input of inputs) {
      const numbers = numbersOf(input);
      if (input === undefined || numbers === undefined) return undefined;
      operands.push({ numbers, at: broadcastIndex(input.shape, type.shape) });
    }
    const isInteger = !(inputs[0]?.dtype ?? "float32").startsWith("float");
    const apply = isInteger ? integer : compute;
    const count = elementCount(type.shape);
    const result = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      result[i] = apply(operands.map(({ numbers, at }) => numbers[at(i)] ?? 0));
    }
    return [fromNumbers(type, result)];
  };
}

function unary(compute: Unary): Fold {
  return elementwise(([x = 0]) => compute(x));
}

function binary(compute: Binary, integer: Binary = compute): Fold {
  return elementwise(
    ([x = 0, y = 0]) => compute(x, y),
    ([x = 0, y = 0]) => integer(x, y),
  );
}

/** The value of a function of one tensor, element by element. */
export function foldUnary(compute: Unary): FoldRule {
  return { compute: unary(compute) };
}

/** The value of a function of two broadcast tensors, element by element; integers may have a rule of their own. */
export function foldBinary(compute: Binary, integer: Binary = compute): FoldRule {
  return { compute: binary(compute, integer) };
}

/** The value of a function of any number of broadcast tensors, element by element. */
export function foldVariadic(compute: Variadic): FoldRule {
  return { compute: elementwise(compute) };
}

/** Rounds to the nearest whole number, halves to the even one, and keeps the sign of zero. */
function nearestEven(x: number): number {
  const nearest = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

/** The value of Round. */
export const foldRound: FoldRule = foldUnary(nearestEven);

/** The value of Mod. */
export const foldModulo: FoldRule = {
  compute: (call) => {
    const truncated = intAttribute(call, "fmod", 0) === 1;
    return binary((x, y) => (truncated ? x % y : x - Math.floor(x / y) * y))(call);
  },
};

/** The value of Clip. */
export const foldClip: FoldRule = {
  compute: (call) => {
    const [x, low, high] = call.inputs;
    const limit = (tensor: Tensor | undefined, fallback: number) => numbersOf(tensor)?.[0] ?? fallback;
    const [bottom, top] = [limit(low, Number.NEGATIVE_INFINITY), limit(high, Number.POSITIVE_INFINITY)];
    return unary((value) => Math.min(Math.max(value, bottom), top))({ ...call, inputs: [x] });
  },
};

/** The value of LeakyRelu. */
export const foldLeakyRelu: FoldRule = {
  compute: (call) => {
    const alpha = floatAttribute(call, "alpha", 0.01);
    return unary((x) => (x < 0 ? alpha * x : x))(call);
  },
};

/** To integers numbers are cut, to booleans everything but zero is true. */
const cast: Fold = ({ inputs: [input], types: [type] }) => {
  const numbers = numbersOf(input);
  if (numbers === undefined || type === undefined) return undefined;
  if (input?.dtype === type.dtype) return [input];
  if (type.dtype === "string" || type.dtype.startsWith("float8") || type.dtype === "float16") return undefined;
  const whole = !type.dtype.startsWith("float") && type.dtype !== "bool";
  return [fromNumbers(type, whole ? numbers.map(Math.trunc) : numbers)];
};

/** The value of Cast. */
export const foldCast: FoldRule = { compute: cast, copies: true };

/** The value of CastLike, whose second input only states a type. */
export const foldCastLike: FoldRule = { compute: cast };
