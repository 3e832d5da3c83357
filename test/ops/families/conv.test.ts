/** Gradients of convolutions against central differences, over random geometries. */

import fc from "fast-check";
import { describe } from "vitest";
import { conv } from "../../../src/ops/families/conv.ts";
import { gradientProperty, itemAt } from "../../support/graphs/gradient-property.ts";
import { randomTensor } from "../../support/random.ts";

/** The geometry of one spatial axis; the input is made long enough for at least one window. */
const axis = fc.record({
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  before: fc.integer({ min: 0, max: 2 }),
  after: fc.integer({ min: 0, max: 2 }),
  extra: fc.integer({ min: 0, max: 4 }),
});

const geometry = (rank: number) =>
  fc.record({
    axes: fc.array(axis, { minLength: rank, maxLength: rank }),
    batch: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 3 }),
    inPerGroup: fc.integer({ min: 1, max: 2 }),
    outPerGroup: fc.integer({ min: 1, max: 2 }),
    biased: fc.boolean(),
  });

describe("gradients of convolutions", () => {
  for (const rank of [1, 2]) {
    gradientProperty(
      `conv with ${rank} spatial axes`,
      geometry(rank),
      ({ axes, batch, group, inPerGroup, outPerGroup, biased }, random) => {
        const kernel = axes.map((a) => a.kernel);
        const image = axes.map((a) => Math.max(1, (a.kernel - 1) * a.dilation + 1 - a.before - a.after) + a.extra);
        const bias = biased ? [randomTensor(random, [group * outPerGroup])] : [];
        return {
          build: (b, x) =>
            conv(b, itemAt(x, 0), itemAt(x, 1), x[2], {
              strides: axes.map((a) => a.stride),
              dilations: axes.map((a) => a.dilation),
              pads: [...axes.map((a) => a.before), ...axes.map((a) => a.after)],
              group,
            }),
          inputs: [
            randomTensor(random, [batch, group * inPerGroup, ...image]),
            randomTensor(random, [group * outPerGroup, inPerGroup, ...kernel]),
            ...bias,
          ],
        };
      },
      { runs: 30 },
    );
  }

  gradientProperty(
    "depthwise conv",
    fc.record({ channels: fc.integer({ min: 2, max: 5 }), stride: fc.integer({ min: 1, max: 2 }) }),
    ({ channels, stride }, random) => ({
      build: (b, x) =>
        conv(b, itemAt(x, 0), itemAt(x, 1), undefined, {
          strides: [stride, stride],
          pads: [1, 1, 1, 1],
          group: channels,
        }),
      inputs: [randomTensor(random, [2, channels, 5, 4]), randomTensor(random, [channels, 1, 3, 3])],
    }),
  );

  gradientProperty(
    "ConvTranspose",
    fc.record({
      stride: fc.integer({ min: 1, max: 3 }),
      padding: fc.integer({ min: 0, max: 1 }),
      extra: fc.integer({ min: 0, max: 1 }),
      group: fc.integer({ min: 1, max: 2 }),
    }),
    ({ stride, padding, extra, group }, random) => ({
      build: (b, x) =>
        b.one("ConvTranspose", x, {
          strides: [stride, stride],
          pads: [padding, padding, padding, padding],
          output_padding: [stride > 1 ? extra : 0, 0],
          group,
          kernel_shape: [3, 2],
        }),
      inputs: [
        randomTensor(random, [1, 2 * group, 4, 3]),
        randomTensor(random, [2 * group, 2, 3, 2]),
        randomTensor(random, [2 * group]),
      ],
    }),
  );
});
