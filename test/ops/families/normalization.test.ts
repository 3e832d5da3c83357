/** Gradients of batch normalization against central differences. */

import fc from "fast-check";
import { describe } from "vitest";
import { batchNormalization, batchNormTrain } from "../../../src/ops/families/normalization.ts";
import { gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { randomTensor } from "../../support/random.ts";

const features = fc.record({
  batch: fc.integer({ min: 3, max: 4 }),
  channels: fc.integer({ min: 1, max: 4 }),
  spatial: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
});

describe("gradients of batch normalization", () => {
  gradientProperty("in training", features, ({ batch, channels, spatial }, random) => ({
    build: (b, x) => {
      const inputs = {
        x: itemAt(x, 0),
        scale: itemAt(x, 1),
        bias: itemAt(x, 2),
        mean: itemAt(x, 3),
        variance: itemAt(x, 4),
      };
      return batchNormTrain(b, inputs, { epsilon: 1e-2, momentum: 0.9 }).y;
    },
    inputs: [
      randomTensor(random, [batch, channels, ...spatial]),
      ...[1, 2, 3].map(() => randomTensor(random, [channels])),
      randomTensor(random, [channels], { low: 0.5 }),
    ],
    // The statistics that are kept do not reach the output. A batch of nearly equal numbers bends sharply.
    options: { wanted: [0, 1, 2], step: 2 ** -8, tolerance: 1e-2 },
  }));

  gradientProperty("in evaluation", features, ({ batch, channels, spatial }, random) => ({
    build: (b, x) =>
      batchNormalization(b, itemAt(x, 0), itemAt(x, 1), itemAt(x, 2), itemAt(x, 3), itemAt(x, 4), { epsilon: 1e-5 }),
    inputs: [
      randomTensor(random, [batch, channels, ...spatial]),
      ...[1, 2, 3].map(() => randomTensor(random, [channels])),
      randomTensor(random, [channels], { low: 0.5 }),
    ],
    options: { wanted: [0, 1, 2] },
  }));
});
