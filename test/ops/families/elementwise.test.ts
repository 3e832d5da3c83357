/** Gradients of elementwise arithmetic against central differences, over random broadcast shapes. */

import { describe } from "vitest";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
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
