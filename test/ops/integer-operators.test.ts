/** The operators that multiply codes: what their type rules infer is what the engine makes, and their products are exact. */
import { expect, it } from "vitest";
import { makeTensor, toNumbers } from "../../src/ir/tensor.ts";
import type { Shape } from "../../src/ir/types.ts";
import { builderFor, findDefinition } from "../../src/ops/definition.ts";
import { standardOperators } from "../../src/ops/index.ts";
import {
  convIntegerOperator,
  integerOperators,
  integerProducts,
  qlinearConvOperator,
  qlinearMatmulOperator,
} from "../../src/ops/integer-operators.ts";
import { runGraph } from "../support/graphs/run-graph.ts";

const registry = integerOperators;

function bytes(shape: Shape, codes: readonly number[]) {
  return makeTensor("uint8", shape, Uint8Array.from(codes));
}

/** An operator on codes x with zero point 1 and weights w, with the scales that its requantization needs. */
async function product(op: string, x: Shape, w: Shape, attributes: Record<string, readonly number[]> = {}) {
  const b = builderFor(registry, "product");
  const count = (shape: Shape) => shape.reduce((size, each) => size * each, 1);
  const codes = b.input("x", { dtype: "uint8", shape: x });
  const weights = Array.from({ length: count(w) }, (_, i) => (i % 3) - 1);
  const weight = b.constant(makeTensor("int8", w, Int8Array.from(weights)), "w");
  const byte = (code: number) => b.constant(bytes([], [code]));
  const zero = b.constant(makeTensor("int8", [], Int8Array.of(0)), "zero");
  const isWhole = op === "ConvInteger" || op === "MatMulInteger";
  const inputs = isWhole
    ? [codes, weight, byte(1)]
    : [codes, b.scalar(1), byte(1), weight, b.scalar(1), zero, b.scalar(2), byte(100)];
  b.output("y", b.one(op, inputs, attributes));
  const sample = Array.from({ length: count(x) }, (_, i) => (5 * i) % 7);
  const { y } = await runGraph(b.finish(), { x: bytes(x, sample) }, { registry });
  return { y, sample, weights };
}

/** Row by row Σ (x − 1)·w over the last axis of x and the first of w. */
function sumsOf(sample: readonly number[], weights: readonly number[], inner: number, columns: number): number[] {
  return Array.from({ length: (sample.length / inner) * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return Array.from(
      { length: inner },
      (_, c) => ((sample[row * inner + c] ?? 0) - 1) * (weights[c * columns + column] ?? 0),
    ).reduce((sum, each) => sum + each, 0);
  });
}

function roundEven(value: number): number {
  return Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
}

it.each([
  { x: [2, 3], w: [3, 4] },
  { x: [5, 2, 3], w: [3, 2] },
])("multiplies matrices of codes $x and $w, whole and requantized", async ({ x, w: [inner, columns] }) => {
  const whole = await product("MatMulInteger", x, [inner ?? 1, columns ?? 1]);
  const sums = sumsOf(whole.sample, whole.weights, inner ?? 1, columns ?? 1);
  expect(whole.y?.shape).toEqual([...x.slice(0, -1), columns]);
  expect(whole.y && toNumbers(whole.y)).toEqual(sums);
  const { y } = await product("QLinearMatMul", x, [inner ?? 1, columns ?? 1]);
  expect(y?.dtype).toBe("uint8");
  expect(y && toNumbers(y)).toEqual(sums.map((sum) => roundEven(sum / 2) + 100));
});

it("convolves codes, whole and requantized", async () => {
  const attributes = { kernel_shape: [1, 1], strides: [1, 2], pads: [0, 0, 0, 0] };
  const whole = await product("ConvInteger", [1, 1, 3, 5], [2, 1, 1, 1], attributes);
  const read = whole.sample.filter((_, i) => (i % 5) % 2 === 0);
  const sums = whole.weights.flatMap((weight) => read.map((code) => (code - 1) * weight));
  expect(whole.y?.shape).toEqual([1, 2, 3, 3]);
  expect(whole.y && toNumbers(whole.y)).toEqual(sums.map((sum) => sum + 0));
  const { y } = await product("QLinearConv", [1, 1, 3, 5], [2, 1, 1, 1], attributes);
  expect(y?.dtype).toBe("uint8");
  expect(y && toNumbers(y)).toEqual(sums.map((sum) => roundEven(sum / 2) + 100));
});

it("keeps them out of networks, which have no gradients for them", () => {
  const own = [convIntegerOperator, qlinearConvOperator, qlinearMatmulOperator];
  expect(own.map((definition) => findDefinition(standardOperators, definition))).toEqual(own.map(() => undefined));
  expect([...integerProducts.keys()].sort()).toEqual([...own.map(({ op }) => op), "MatMulInteger"].sort());
  expect(integerOperators.size).toBe(standardOperators.size + own.length);
});
