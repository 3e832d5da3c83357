/** Gradients of interpolation and of the other operators that imported networks hold. */

import fc from "fast-check";
import { describe, it } from "vitest";
import { float32Tensor, int64Tensor } from "../../../src/ir/tensor.ts";
import { checkGradient } from "../../support/graphs/gradient-check.ts";
import { gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { expandBatch } from "../../support/graphs/operators.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const resizes = fc.record({
  mode: fc.constantFrom("nearest", "linear", "cubic"),
  place: fc.constantFrom("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"),
  nearest: fc.constantFrom("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
  scales: fc.tuple(fc.constantFrom(0.5, 1, 2, 3), fc.constantFrom(0.5, 1, 2)),
});

describe("gradients of interpolation", () => {
  gradientProperty("Resize", resizes, ({ mode, place, nearest, scales }, random) => ({
    build: (b, x) => {
      const factors = b.constant(float32Tensor([4], [1, 1, ...scales]), "scales");
      const attributes = { mode, coordinate_transformation_mode: place, nearest_mode: nearest };
      return b.one("Resize", [itemAt(x, 0), undefined, factors], attributes);
    },
    inputs: [randomTensor(random, [1, 2, 4, 6])],
  }));
});

it.each(["not_larger", "not_smaller"])("gradient of a Resize that keeps the ratio of sides (%s)", async (policy) => {
  const build: Parameters<typeof checkGradient>[0] = (b, inputs) => {
    const sizes = b.constant(int64Tensor([7, 8]), "sizes");
    const attributes = { axes: [2, 3], keep_aspect_ratio_policy: policy, mode: "linear" };
    return b.one("Resize", [itemAt(inputs, 0), undefined, undefined, sizes], attributes);
  };
  await checkGradient(build, [randomTensor(seeded(5), [1, 2, 4, 6])], { step: 2 ** -4 });
});

describe("gradients of functions of one tensor", () => {
  const inside = { low: 0.15, high: 0.85 };
  it.each([
    ["Tan", inside],
    ["Asin", inside],
    ["Acos", inside],
    ["Atan", { signed: true }],
    ["Sinh", { signed: true }],
    ["Cosh", { signed: true }],
    ["Asinh", { signed: true }],
    ["Acosh", { low: 1.5, high: 3 }],
    ["Atanh", inside],
    ["Selu", { low: 0.2, high: 2, signed: true }],
    ["Celu", { low: 0.2, high: 2, signed: true }],
    ["ThresholdedRelu", { low: 1.2, high: 2, signed: true }],
    ["Shrink", { low: 0.7, high: 2, signed: true }],
  ] as const)("%s", async (op, range) => {
    const x = randomTensor(seeded(5), [3, 4], range);
    await checkGradient((b, inputs) => b.one(op, inputs), [x], { step: 2 ** -7 });
  });
});

describe("gradient of ExpandBatch", () => {
  it("sums over the samples", async () => {
    const [x, reference] = [randomTensor(seeded(6), [1, 2, 3]), randomTensor(seeded(7), [4, 2])];
    await checkGradient((b, inputs) => expandBatch(b, itemAt(inputs, 0), itemAt(inputs, 1)), [x, reference]);
  });
});
