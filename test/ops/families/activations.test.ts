/** Gradients of activations against central differences, and the masks that they are made of, bit by bit. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import { atLeast, atMost, halfAtZero, notNegative, positive } from "../../../src/ops/build/masks.ts";
import { builderFor } from "../../../src/ops/definition.ts";
import * as activations from "../../../src/ops/families/activations.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { gradientsOf } from "../../support/graphs/gradient-check.ts";
import { gradientProperty, itemAt, shapes } from "../../support/graphs/gradient-property.ts";
import * as operators from "../../support/graphs/operators.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { randomTensor } from "../../support/random.ts";

describe("gradients of activations", () => {
  const cases: Readonly<Record<string, { build: (b: GraphBuilder, x: Value) => Value; kinks?: readonly number[] }>> = {
    relu: { build: activations.relu, kinks: [0] },
    sigmoid: { build: activations.sigmoid },
    hardSigmoid: { build: activations.hardSigmoid, kinks: [-3, 3] },
    "hardSigmoid of ONNX": { build: (b, x) => b.one("HardSigmoid", [x]), kinks: [-2.5, 2.5] },
    hardSwish: { build: operators.hardSwish, kinks: [-3, 3] },
    tanh: { build: activations.tanh },
    "gelu exact": { build: activations.gelu },
    "gelu tanh": { build: (b, x) => activations.gelu(b, x, "tanh") },
    leakyRelu: { build: (b, x) => operators.leakyRelu(b, x, 0.2), kinks: [0] },
    elu: { build: (b, x) => operators.elu(b, x, 0.7), kinks: [0] },
    softplus: { build: activations.softplus },
    softsign: { build: (b, x) => b.one("Softsign", [x]), kinks: [0] },
    swish: { build: operators.swish },
    mish: { build: operators.mish },
    "clip above": { build: (b, x) => activations.clip(b, x, undefined, 1), kinks: [1] },
    "clip below": { build: (b, x) => activations.clip(b, x, -1.5), kinks: [-1.5] },
    "clip on both sides": { build: (b, x) => activations.clip(b, x, -2, 1.25), kinks: [-2, 1.25] },
    "clip nothing": { build: (b, x) => activations.clip(b, x) },
  };
  for (const [name, { build, kinks = [] }] of Object.entries(cases)) {
    gradientProperty(name, shapes(0), (shape, random) => ({
      build: (b, x) => build(b, itemAt(x, 0)),
      inputs: [randomTensor(random, shape, { low: -4, high: 4, kinks })],
    }));
  }

  gradientProperty("clip with computed bounds", shapes(), (shape, random) => ({
    build: (b, x) => activations.clip(b, itemAt(x, 0), itemAt(x, 1), itemAt(x, 2)),
    inputs: [randomTensor(random, shape, { kinks: [-1, 1] }), float32Tensor([], [-1]), float32Tensor([], [1])],
  }));

  gradientProperty("prelu", fc.record({ shape: shapes(3, 3), shared: fc.boolean() }), ({ shape, shared }, random) => ({
    build: (b, x) => operators.prelu(b, itemAt(x, 0), itemAt(x, 1)),
    inputs: [randomTensor(random, shape, { kinks: [0] }), randomTensor(random, shared ? [1] : [itemAt(shape, 1), 1])],
  }));
});

/** The float32 numbers next to one. */
function neighbours(value: number): number[] {
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value) || 2 ** -126)) - 24);
  return [value - 2 * step, value, value + 2 * step].map(Math.fround);
}

async function mask(values: readonly number[], build: (b: GraphBuilder, x: Value) => Value): Promise<number[]> {
  const b = builderFor(standardOperators, "mask");
  b.output("y", build(b, b.input("x", { dtype: "float32", shape: [values.length] })));
  const { y } = await runGraph(b.finish(), { x: float32Tensor([values.length], values) });
  return y === undefined ? [] : Array.from(float32Data(y));
}

describe("masks", () => {
  const extremes = [-3.4e38, -1e20, -1, -1.2e-38, 0, 1.2e-38, 1, 1e20, 3.4e38];

  it("are exact for every normal number", async () => {
    expect(await mask(extremes, positive)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1]);
    expect(await mask(extremes, notNegative)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(await mask(extremes, halfAtZero)).toEqual([0, 0, 0, 0, 0.5, 1, 1, 1, 1]);
  });

  it("separate a bound from its neighbours", async () => {
    const bound = fc.oneof(
      fc.constantFrom(0, 1, -1, 6, 0.5, -0.5, 127, -128, 2 ** 24, 1e-20, -1e20, 1e35, 1e-35),
      fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e6), max: Math.fround(1e6) }),
    );
    const property = fc.asyncProperty(bound, async (number) => {
      const limit = Math.fround(number);
      if (limit !== 0 && Math.abs(limit) < 2e-38) return;
      const values = [...(limit === 0 ? [-1.2e-38, 0, 1.2e-38] : neighbours(limit)), ...extremes];
      expect(await mask(values, (b, x) => atLeast(b, x, limit))).toEqual(
        values.map((v) => (Math.fround(v) >= limit ? 1 : 0)),
      );
      expect(await mask(values, (b, x) => atMost(b, x, limit))).toEqual(
        values.map((v) => (Math.fround(v) <= limit ? 1 : 0)),
      );
    });
    await fc.assert(property, { seed: 7, numRuns: 40 });
  });

  it("have other forms for float64", async () => {
    const values = [-1, 0, 1];
    const b = builderFor(standardOperators, "float64");
    const x = b.input("x", { dtype: "float64", shape: [3] });
    const masks = { positive, notNegative, halfAtZero };
    for (const [name, build] of Object.entries(masks)) b.output(name, build(b, x));
    const results = await runGraph(b.finish(), {
      x: { dtype: "float64", shape: [3], data: Float64Array.from(values) },
    });
    expect(Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...data]]))).toEqual({
      positive: [0, 0, 1],
      notNegative: [0, 1, 1],
      halfAtZero: [0, 0.5, 1],
    });
  });
});

describe("the gradient of relu", () => {
  it("is zero at zero", async () => {
    const x = float32Tensor([4], [-1, 0, 1.2e-38, 2]);
    const gradients = await gradientsOf(
      (b, values) => activations.relu(b, itemAt(values, 0)),
      [x],
      float32Tensor([4], [5, 6, 7, 8]),
    );
    const gradient = gradients.get(0);
    expect(gradient === undefined ? undefined : [...float32Data(gradient)]).toEqual([0, 0, 7, 8]);
  });
});
