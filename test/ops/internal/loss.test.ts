/** Gradients of the losses against central differences. */

import fc from "fast-check";
import { describe } from "vitest";
import { int64Tensor } from "../../../src/ir/tensor.ts";
import { crossEntropy, maskedCrossEntropy, meanSquaredError } from "../../../src/ops/internal/loss.ts";
import { gradientProperty, itemAt, shapes } from "../../support/graphs/gradient-property.ts";
import { randomTensor } from "../../support/random.ts";

describe("gradients of losses", () => {
  const classified = fc.record({
    batch: fc.integer({ min: 1, max: 4 }),
    classes: fc.integer({ min: 2, max: 5 }),
    smoothing: fc.constantFrom(0, 0.1),
  });
  gradientProperty("crossEntropy", classified, ({ batch, classes, smoothing }, random) => ({
    build: (b, x) => crossEntropy(b, itemAt(x, 0), itemAt(x, 1), smoothing),
    inputs: [
      randomTensor(random, [batch, classes]),
      int64Tensor(Array.from({ length: batch }, () => Math.floor(random() * classes))),
    ],
    options: { wanted: [0] },
  }));

  gradientProperty("maskedCrossEntropy", classified, ({ batch, classes, smoothing }, random) => ({
    build: (b, x) => maskedCrossEntropy(b, itemAt(x, 0), itemAt(x, 1), smoothing),
    inputs: [
      randomTensor(random, [batch, classes]),
      int64Tensor(Array.from({ length: batch }, (_, i) => (i === 1 ? -1 : Math.floor(random() * classes)))),
    ],
    options: { wanted: [0] },
  }));

  gradientProperty("meanSquaredError", shapes(), (shape, random) => ({
    build: (b, x) => meanSquaredError(b, itemAt(x, 0), itemAt(x, 1)),
    inputs: [randomTensor(random, shape), randomTensor(random, shape)],
  }));
});
