/** Gradients of reductions and of softmax against central differences. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { cumulativeSum, reduceMax, reduceMean, reduceMin, reduceSum } from "../../../src/ops/families/reduce.ts";
import { logSoftmax, softmax } from "../../../src/ops/families/softmax.ts";
import { gradientsOf } from "../../support/graphs/gradient-check.ts";
import { gradientProperty, itemAt, shapes, shapeWithAxis } from "../../support/graphs/gradient-property.ts";
import { reduceL1, reduceL2, reduceLogSumExp, reduceProduct, reduceSumSquare } from "../../support/graphs/operators.ts";
import { distinctTensor, randomTensor } from "../../support/random.ts";

const reduced = shapes(1, 4, 3).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    axes: fc.option(
      fc.subarray(
        shape.map((_, i) => i),
        { minLength: 1 },
      ),
      { nil: undefined },
    ),
    fromEnd: fc.boolean(),
    keepDimensions: fc.boolean(),
  }),
);

describe("gradients of reductions", () => {
  const smooth = { reduceSum, reduceMean, reduceSumSquare, reduceLogSumExp, reduceL1, reduceL2, reduceProduct };
  for (const [name, build] of Object.entries({ ...smooth, reduceMax, reduceMin })) {
    gradientProperty(name, reduced, ({ shape, axes, fromEnd, keepDimensions }, random) => {
      const counted = fromEnd ? axes?.map((axis) => axis - shape.length) : axes;
      const distinct = name === "reduceMax" || name === "reduceMin";
      const magnitude = name === "reduceProduct" ? { low: 0.8, high: 1.2 } : { low: 0.5 };
      return {
        build: (b, x) => build(b, itemAt(x, 0), counted, { keepDimensions }),
        inputs: [
          distinct ? distinctTensor(random, shape) : randomTensor(random, shape, { ...magnitude, signed: true }),
        ],
      };
    });
  }

  gradientProperty("ReduceLogSum", reduced, ({ shape }, random) => ({
    build: (b, x) => b.one("ReduceLogSum", x),
    inputs: [randomTensor(random, shape, { low: 0.5 })],
  }));

  const options = fc.record({ at: shapeWithAxis(), exclusive: fc.boolean(), reverse: fc.boolean() });
  gradientProperty("cumulativeSum", options, ({ at, exclusive, reverse }, random) => ({
    build: (b, x) => cumulativeSum(b, itemAt(x, 0), at.axis, { exclusive, reverse }),
    inputs: [randomTensor(random, at.shape)],
  }));
});

describe("the norm of zeros", () => {
  it("has the gradient zero, as in torch", async () => {
    const gradients = await gradientsOf(
      (b, x) => reduceL2(b, itemAt(x, 0), [1]),
      [float32Tensor([2, 2], [0, 0, 3, 4])],
      float32Tensor([2, 1], [7, 10]),
    );
    expect(gradients.get(0)?.data).toEqual(Float32Array.of(0, 0, 6, 8));
  });
});

describe("gradients of softmax", () => {
  for (const [name, build] of Object.entries({ softmax, logSoftmax })) {
    gradientProperty(name, shapeWithAxis(1, 4), ({ shape, axis }, random) => ({
      build: (b, x) => build(b, itemAt(x, 0), axis),
      inputs: [randomTensor(random, shape)],
    }));
  }
});
