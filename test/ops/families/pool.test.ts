/** Gradients of pooling against central differences, over random overlapping and padded windows. */

import fc from "fast-check";
import { describe } from "vitest";
import { averagePool, globalAveragePool, maxPool } from "../../../src/ops/families/pool.ts";
import { gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { distinctTensor, randomTensor } from "../../support/random.ts";

const windows = fc
  .record({
    kernel: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    padded: fc.boolean(),
    image: fc.tuple(fc.integer({ min: 3, max: 6 }), fc.integer({ min: 3, max: 6 })),
    countIncludePad: fc.boolean(),
    ceilMode: fc.boolean(),
  })
  // A window must not lie in the padding alone, so the padding is smaller than the kernel.
  .map(({ padded, kernel, ...rest }) => ({
    ...rest,
    kernel,
    pads: [...kernel, ...kernel].map((size) => (padded ? Math.floor(size / 2) : 0)),
  }));

describe("gradients of pooling", () => {
  gradientProperty(
    "maxPool",
    windows,
    ({ kernel, strides, pads, image, ceilMode }, random) => ({
      build: (b, x) => maxPool(b, itemAt(x, 0), { kernel, strides, pads, ceilMode }),
      inputs: [distinctTensor(random, [2, 2, ...image])],
    }),
    { runs: 20 },
  );

  gradientProperty(
    "averagePool",
    windows,
    ({ kernel, strides, pads, image, countIncludePad, ceilMode }, random) => ({
      build: (b, x) => averagePool(b, itemAt(x, 0), { kernel, strides, pads, countIncludePad, ceilMode }),
      inputs: [randomTensor(random, [2, 2, ...image])],
    }),
    { runs: 40 },
  );

  gradientProperty("globalAveragePool", windows, ({ image }, random) => ({
    build: (b, x) => globalAveragePool(b, itemAt(x, 0)),
    inputs: [randomTensor(random, [2, 3, ...image])],
  }));
});
