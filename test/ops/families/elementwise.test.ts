/** Gradients of elementwise arithmetic against central differences, over random broadcast shapes. */

import { describe, expect, it } from "vitest";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { relu } from "../../../src/ops/families/activations.ts";
import { cast } from "../../../src/ops/families/cast.ts";
import { greater, where } from "../../../src/ops/families/comparison.ts";
import {
  absolute,
  add,
  ceil,
  cosine,
  divide,
  erf,
  exponential,
  floor,
  identity,
  logarithm,
  maximum,
  minimum,
  multiply,
  negate,
  power,
  reciprocal,
  round,
  sign,
  sine,
  square,
  squareRoot,
  subtract,
} from "../../../src/ops/families/elementwise.ts";
import { reduceMean } from "../../../src/ops/families/reduce.ts";
import { expand } from "../../../src/ops/families/shape/shape-ops.ts";
import { gradientsOf } from "../../support/graphs/gradient-check.ts";
import { broadcastingShapes, gradientProperty, itemAt, shapes } from "../../support/graphs/gradient-property.ts";
import { modulo } from "../../support/graphs/operators.ts";
import { distinctTensor, randomTensor } from "../../support/random.ts";

type Unary = (b: GraphBuilder, x: Value) => Value;

const fmod = (b: GraphBuilder, x: Value, y: Value) => modulo(b, x, y, true);

describe("gradients of two broadcast operands", () => {
  const binary = { add, subtract, multiply, divide, modulo: fmod };
  for (const [name, build] of Object.entries(binary)) {
    gradientProperty(name, broadcastingShapes(), ([left, right], random) => ({
      build: (b, x) => build(b, itemAt(x, 0), itemAt(x, 1)),
      // 0.6..0.9 over 1..1.3 (and back) keeps fmod on one branch, and divisors away from zero.
      inputs: [
        randomTensor(random, left, { low: 0.6, high: 0.9, signed: true }),
        randomTensor(random, right, { low: 1, high: 1.3, signed: true }),
      ],
    }));
  }

  gradientProperty("power", broadcastingShapes(), ([left, right], random) => ({
    build: (b, x) => power(b, itemAt(x, 0), itemAt(x, 1)),
    inputs: [randomTensor(random, left, { low: 0.5 }), randomTensor(random, right)],
  }));

  for (const exponent of [2, 3]) {
    gradientProperty(`power ${exponent}`, shapes(), (shape, random) => ({
      build: (b, x) => power(b, itemAt(x, 0), exponent),
      inputs: [randomTensor(random, shape)],
    }));
  }

  for (const [name, build] of Object.entries({ minimum, maximum })) {
    gradientProperty(name, broadcastingShapes(), ([left, right], random) => ({
      build: (b, x) => build(b, itemAt(x, 0), itemAt(x, 1)),
      // Distinct multiples of 1/8 on one side, shifted by 1/16 on the other: no ties, and none within two steps.
      inputs: [distinctTensor(random, left), shifted(distinctTensor(random, right))],
    }));
  }

  gradientProperty("where", broadcastingShapes(), ([left, right], random) => ({
    build: (b, x) => where(b, greater(b, itemAt(x, 2), 0), itemAt(x, 0), itemAt(x, 1)),
    inputs: [randomTensor(random, left), randomTensor(random, right), randomTensor(random, left)],
    options: { wanted: [0, 1] },
  }));
});

describe("gradients of several operands", () => {
  for (const op of ["Sum", "Mean", "Max", "Min"]) {
    gradientProperty(`${op} of three`, broadcastingShapes(), ([left, right], random) => ({
      build: (b, x) => b.one(op, x),
      inputs: [left, right, left].map((shape, i) => shifted(distinctTensor(random, shape, 3 / 8), i / 8)),
    }));
  }
});

describe("gradients of functions of one tensor", () => {
  const functions: Readonly<Record<string, Unary>> = {
    negate,
    erf,
    sine,
    cosine,
    exponential,
    square,
    identity,
    cast: (b, x) => cast(b, exponential(b, cast(b, x, "float64")), "float32"),
  };
  for (const [name, build] of Object.entries(functions)) {
    gradientProperty(name, shapes(0), (shape, random) => ({
      build: (b, x) => build(b, itemAt(x, 0)),
      inputs: [randomTensor(random, shape)],
    }));
  }
  for (const [name, build] of Object.entries({ squareRoot, logarithm, reciprocal })) {
    gradientProperty(name, shapes(0), (shape, random) => ({
      build: (b, x) => build(b, itemAt(x, 0)),
      inputs: [randomTensor(random, shape, { low: 0.5 })],
    }));
  }
  for (const [name, build] of Object.entries({ absolute, round, floor, ceil, sign })) {
    gradientProperty(name, shapes(0), (shape, random) => ({
      build: (b, x) => build(b, itemAt(x, 0)),
      inputs: [randomTensor(random, shape, { kinks: [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2], margin: 0.05 })],
    }));
  }
});

function shifted(tensor: ReturnType<typeof distinctTensor>, distance = 1 / 16) {
  const { data } = tensor;
  if (!(data instanceof Float32Array)) throw new Error("shifts float32 tensors only");
  return { ...tensor, data: data.map((value) => value + distance) };
}

describe("slopes that are infinite at zero, behind a mask", () => {
  const centred = (b: GraphBuilder, x: Value) => subtract(b, x, reduceMean(b, x, [1]));
  const meanRoot = (b: GraphBuilder, x: Value) => squareRoot(b, reduceMean(b, square(b, x), [1]));
  const roots: readonly (readonly [string, Unary])[] = [
    ["the root of ReLU", (b, x) => squareRoot(b, relu(b, x))],
    ["a power of ReLU", (b, x) => power(b, relu(b, x), 0.5)],
    ["a third root of ReLU", (b, x) => power(b, relu(b, x), 1 / 3)],
    [
      "LPPool",
      (b, x) => power(b, multiply(b, multiply(b, sign(b, relu(b, x)), relu(b, absolute(b, relu(b, x)))), 4), 0.5),
    ],
    ["the deviation of equal numbers", (b, x) => expand(b, meanRoot(b, centred(b, x)), [1, 3])],
    ["the norm of zeros", (b, x) => expand(b, meanRoot(b, relu(b, x)), [1, 3])],
  ];
  for (const [name, build] of roots) {
    it(`${name} has the gradient zero, as in torch`, async () => {
      const x = float32Tensor([1, 3], [-2, -2, -2]);
      const weights = float32Tensor([1, 3], [3, -5, 1e3]);
      const gradients = await gradientsOf((b, [value]) => build(b, value ?? b.scalar(0)), [x], weights);
      expect(Array.from(gradients.get(0)?.data ?? [], Number).map(Math.abs)).toEqual([0, 0, 0]);
    });
  }

  it("the exponent of zero has the gradient zero, as in torch", async () => {
    const [base, exponent] = [float32Tensor([3], [0, 1, 2]), float32Tensor([], [3])];
    const gradients = await gradientsOf(
      (b, [x, y]) => power(b, x ?? b.scalar(0), y ?? 1),
      [base, exponent],
      float32Tensor([3], [5, 6, 7]),
    );
    expect(Number(gradients.get(1)?.data[0])).toBeCloseTo(7 * 8 * Math.log(2), 4);
  });
});
