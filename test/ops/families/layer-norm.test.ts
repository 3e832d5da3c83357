/** Gradients of the normalizations within a sample, against central differences. */

import fc from "fast-check";
import { describe } from "vitest";
import { layerNormalization } from "../../../src/ops/families/layer-norm.ts";
import { gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { randomTensor } from "../../support/random.ts";

const features = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  groups: fc.integer({ min: 1, max: 3 }),
  perGroup: fc.integer({ min: 1, max: 2 }),
  spatial: fc.array(fc.integer({ min: 2, max: 4 }), { minLength: 1, maxLength: 2 }),
});

// Few numbers that are nearly equal bend sharply.
const options = { step: 2 ** -8, tolerance: 1e-2 };
const epsilon = { float: 0.05 };

describe("gradients of normalizations within a sample", () => {
  gradientProperty("LayerNormalization", features, ({ batch, groups, spatial }, random) => ({
    build: (b, x) => layerNormalization(b, itemAt(x, 0), itemAt(x, 1), itemAt(x, 2), { axis: 1, epsilon: 0.05 }),
    inputs: [batch, 1, 1].map((rows, i) =>
      randomTensor(random, i === 0 ? [rows, groups, ...spatial] : [groups, ...spatial]),
    ),
    options,
  }));

  gradientProperty("InstanceNormalization", features, ({ batch, groups, spatial }, random) => ({
    build: (b, x) => b.one("InstanceNormalization", x, { epsilon }),
    inputs: [[batch, groups, ...spatial], [groups], [groups]].map((shape) => randomTensor(random, shape)),
    options,
  }));

  gradientProperty("GroupNormalization", features, ({ batch, groups, perGroup, spatial }, random) => ({
    build: (b, x) => b.one("GroupNormalization", x, { epsilon, num_groups: groups }),
    inputs: [[batch, groups * perGroup, ...spatial], [groups * perGroup], [groups * perGroup]].map((shape) =>
      randomTensor(random, shape),
    ),
    options,
  }));
});
