/** Evaluation of elementwise operators on constants. */

import { floatAttribute, intAttribute } from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { broadcastIndex, type Fold, fromNumbers, numbersOf } from "./data.ts";

type Unary = (x: number) => number;
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

function binary(compute: (x: number, y: number) => number, integer = compute): Fold {
  return elementwise(
    ([x = 0, y = 0]) => compute(x, y),
    ([x = 0, y = 0]) => integer(x, y),
  );
}

/** Halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const nearest = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}

const modulo: Fold = (call) => {
  const truncated = intAttribute(call, "fmod", 0) === 1;
  return binary((x, y) => (truncated ? x % y : x - Math.floor(x / y) * y))(call);
};

const clip: Fold = (call) => {
  const [x, low, high] = call.inputs;
  const limit = (tensor: Tensor | undefined, fallback: number) => numbersOf(tensor)?.[0] ?? fallback;
  const [bottom, top] = [limit(low, Number.NEGATIVE_INFINITY), limit(high, Number.POSITIVE_INFINITY)];
  return elementwise(([value = 0]) => Math.min(Math.max(value, bottom), top))({ ...call, inputs: [x] });
};

const leakyRelu: Fold = (call) => {
  const alpha = floatAttribute(call, "alpha", 0.01);
  return unary((x) => (x < 0 ? alpha * x : x))(call);
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

/** The entries of this file. */
export const elementwiseFolds: readonly (readonly [string, Fold])[] = [
  ["Add", binary((x, y) => x + y)],
  ["Sub", binary((x, y) => x - y)],
  ["Mul", binary((x, y) => x * y)],
  [
    "Div",
    binary(
      (x, y) => x / y,
      (x, y) => Math.trunc(x / y),
    ),
  ],
  ["Mod", modulo],
  ["Pow", binary((x, y) => x ** y)],
  ["Min", elementwise((values) => Math.min(...values))],
  ["Max", elementwise((values) => Math.max(...values))],
  ["Sum", elementwise((values) => values.reduce((sum, value) => sum + value, 0))],
  ["Equal", binary((x, y) => Number(x === y))],
  ["Greater", binary((x, y) => Number(x > y))],
  ["GreaterOrEqual", binary((x, y) => Number(x >= y))],
  ["Less", binary((x, y) => Number(x < y))],
  ["LessOrEqual", binary((x, y) => Number(x <= y))],
  ["And", binary((x, y) => x && y)],
  ["Or", binary((x, y) => x || y)],
  ["Xor", binary((x, y) => Number(x !== y))],
  ["Not", unary((x) => Number(x === 0))],
  ["Where", elementwise(([condition, x = 0, y = 0]) => (condition ? x : y))],
  ["Neg", unary((x) => -x)],
  ["Abs", unary(Math.abs)],
  ["Sqrt", unary(Math.sqrt)],
  ["Reciprocal", unary((x) => 1 / x)],
  ["Exp", unary(Math.exp)],
  ["Log", unary(Math.log)],
  ["Sin", unary(Math.sin)],
  ["Cos", unary(Math.cos)],
  ["Tanh", unary(Math.tanh)],
  ["Sigmoid", unary((x) => 1 / (1 + Math.exp(-x)))],
  ["Relu", unary((x) => Math.max(x, 0))],
  ["Floor", unary(Math.floor)],
  ["Ceil", unary(Math.ceil)],
  ["Round", unary(roundHalfEven)],
  ["Sign", unary(Math.sign)],
  ["IsNaN", unary((x) => Number(Number.isNaN(x)))],
  ["Clip", clip],
  ["LeakyRelu", leakyRelu],
  ["Cast", cast],
  ["CastLike", cast],
];
