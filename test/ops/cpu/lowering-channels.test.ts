/** The cpu lowering of normalization and of quantizers against the generic one, on tensors that are blocked and that are not. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBuilder } from "../../../src/compile/registry.ts";
import { subbyteDomain } from "../../../src/ir/graph.ts";
import { filled, float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { Shape } from "../../../src/ir/types.ts";
import { relu } from "../../../src/ops/families/activations.ts";
import { batchNormTrain } from "../../../src/ops/families/normalization.ts";
import type { QuantizerSpec } from "../../../src/quantizers/definition.ts";
import { fakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { blockedCopy } from "../../support/graphs/blocked.ts";
import { block, expectAgreement, runBoth } from "../../support/graphs/lowering.ts";
import { randomTensor, seeded } from "../../support/random.ts";

function numbersOf(tensor: Tensor | undefined): number[] {
  return tensor === undefined ? [] : Array.from(float32Data(tensor));
}

const shapes = fc.record({
  batch: fc.integer({ min: 2, max: 5 }),
  channels: fc.constantFrom(3, block, 2 * block),
  height: fc.integer({ min: 1, max: 14 }),
  width: fc.integer({ min: 2, max: 14 }),
  blocked: fc.boolean(),
  seed: fc.integer(),
});

/** What batch normalization gives for rows of one channel in float64: y, and dx for the gradient dy. */
function normalized(x: readonly number[], dy: readonly number[], scale: number, bias: number) {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const center = mean(x);
  const inverse = 1 / Math.sqrt(mean(x.map((value) => (value - center) ** 2)) + 1e-5);
  const xs = x.map((value) => (value - center) * inverse);
  const [dyMean, product] = [mean(dy), mean(dy.map((value, i) => value * (xs[i] ?? 0)))];
  return {
    y: xs.map((value) => value * scale + bias),
    dx: dy.map((value, i) => scale * inverse * (value - dyMean - (xs[i] ?? 0) * product)),
  };
}

describe("the cpu lowering of batch normalization", () => {
  it("agrees with the generic one, also far from zero, forward and backward", async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.constantFrom(0, 3, -20),
        fc.boolean(),
        async ({ batch, channels, height, width, blocked, seed }, mean, tracked) => {
          const shape = [batch, channels, height, width];
          const random = seeded(seed);
          const spread = { low: mean - 2, high: mean + 2 };
          // A running mean that has not followed yet must do no harm either.
          const running = tracked ? { low: mean - 0.5, high: mean + 0.5 } : { low: 0, high: 0.1 };
          const feeds: Record<string, Tensor> = {
            x: randomTensor(random, shape, spread),
            dy: randomTensor(random, shape),
            scale: randomTensor(random, [channels]),
            bias: randomTensor(random, [channels]),
            mean: randomTensor(random, [channels], running),
            variance: randomTensor(random, [channels], { low: 0.5, high: 2 }),
          };
          const b = newBuilder("batch normalization");
          const input = (name: string) => b.input(name, feeds[name] ?? { dtype: "float32", shape: [] });
          const [image, dy, scale, bias] = [input("x"), input("dy"), input("scale"), input("bias")];
          const x = blocked ? blockedCopy(b, image, feeds) : image;
          const options = { epsilon: 1e-5, momentum: 0.9 };
          const inputs = { x, scale, bias, mean: input("mean"), variance: input("variance") };
          const { y, runningMean, runningVariance } = batchNormTrain(b, inputs, options);
          const node = b.producerOf(y);
          const gradients = b.node(
            "BatchNormTrainGrad",
            [dy, x, scale, node?.outputs[3], node?.outputs[4], inputs.mean],
            node?.attributes,
            { domain: subbyteDomain },
          );
          const outputs = [y, runningMean, runningVariance, ...gradients];
          outputs.forEach((value, i) => {
            b.output(`output${i}`, value);
          });
          await expectAgreement(b.finish(), feeds, 2e-4, JSON.stringify({ shape, mean, tracked, blocked }));
        },
      ),
      { seed: 11, numRuns: 60 },
    );
  });

  it("keeps its digits of few samples, which vary little and lie far from the running mean", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 64 }),
        fc.constantFrom(1, 0.1, 0.01),
        fc.integer(),
        async (samples, deviation, seed) => {
          const random = seeded(seed);
          const channels = 3;
          const feeds: Record<string, Tensor> = {
            x: randomTensor(random, [samples, channels], { low: 2 - deviation, high: 2 + deviation }),
            dy: randomTensor(random, [samples, channels]),
            scale: filled([channels], 0.25),
            bias: filled([channels], 0.75),
            mean: filled([channels], 0),
            variance: filled([channels], 1),
          };
          const b = newBuilder("few samples");
          const input = (name: string) => b.input(name, feeds[name] ?? { dtype: "float32", shape: [] });
          const inputs = {
            x: input("x"),
            scale: input("scale"),
            bias: input("bias"),
            mean: input("mean"),
            variance: input("variance"),
          };
          const { y } = batchNormTrain(b, inputs, { epsilon: 1e-5, momentum: 0.9 });
          const node = b.producerOf(y);
          const [dx] = b.node(
            "BatchNormTrainGrad",
            [input("dy"), inputs.x, inputs.scale, node?.outputs[3], node?.outputs[4], inputs.mean],
            node?.attributes,
            { domain: subbyteDomain },
          );
          b.output("y", y);
          if (dx !== undefined) b.output("dx", dx);
          const { cpu } = await runBoth(b.finish(), feeds);
          const column = (tensor: Tensor | undefined, channel: number) =>
            numbersOf(tensor).filter((_, i) => i % channels === channel);
          for (let channel = 0; channel < channels; channel++) {
            const dy = column(feeds.dy, channel);
            const expected = normalized(column(feeds.x, channel), dy, 0.25, 0.75);
            const off = (actual: readonly number[], wanted: readonly number[]) =>
              Math.max(...wanted.map((value, i) => Math.abs(value - (actual[i] ?? Number.NaN))));
            const steepest = (0.25 * Math.max(...dy.map(Math.abs))) / Math.max(deviation / 10, 1e-2);
            // One rounding of x, as a share of the deviation.
            const rounding = (2 * 2 ** -23) / deviation;
            expect(off(column(cpu.y, channel), expected.y)).toBeLessThan(1e-6 + 8 * rounding);
            expect(off(column(cpu.dx, channel), expected.dx)).toBeLessThan((1e-6 + 8 * rounding) * steepest);
          }
        },
      ),
      { seed: 5, numRuns: 30 },
    );
  });

  it("keeps its digits over many pixels, also where the running mean has not followed", async () => {
    const shape = [1, block, 112, 112];
    const pixels = 112 * 112;
    const random = seeded(3);
    const feeds: Record<string, Tensor> = {
      x: randomTensor(random, shape, { low: 2, high: 3 }),
      scale: filled([block], 0.25),
      bias: filled([block], 0.75),
      mean: filled([block], 0),
      variance: filled([block], 1),
    };
    const b = newBuilder("batch normalization");
    const input = (name: string) => b.input(name, feeds[name] ?? { dtype: "float32", shape: [] });
    const [image, scale, bias, mean, variance] = ["x", "scale", "bias", "mean", "variance"].map(input);
    if (!image || !scale || !bias || !mean || !variance) throw new Error("an input is missing");
    const x = blockedCopy(b, image, feeds);
    b.output("y", batchNormTrain(b, { x, scale, bias, mean, variance }, { epsilon: 1e-5, momentum: 0.9 }).y);
    const { generic, cpu } = await runBoth(b.finish(), feeds);
    const values = numbersOf(feeds.x);
    for (const [name, { y }] of Object.entries({ generic, cpu })) {
      const actual = numbersOf(y);
      let [squares, total] = [0, 0];
      for (let channel = 0; channel < block; channel++) {
        const row = values.slice(channel * pixels, (channel + 1) * pixels);
        const center = row.reduce((sum, value) => sum + value, 0) / pixels;
        const spread = row.reduce((sum, value) => sum + (value - center) ** 2, 0) / pixels;
        row.forEach((value, i) => {
          const expected = ((value - center) / Math.sqrt(spread + 1e-5)) * 0.25 + 0.75;
          squares += ((actual[channel * pixels + i] ?? Number.NaN) - expected) ** 2;
          total += expected ** 2;
        });
      }
      // E[x²] − E[x]² with E[x]² 75 times the variance: two roundings of float32, 75 times.
      expect(Math.sqrt(squares / total), name).toBeLessThan(name === "cpu" ? 75 * 2 ** -24 : 2 ** -20);
    }
  });
});

/** Numbers of which many lie exactly between two codes, or at the ends of the range. */
function withTies(random: () => number, shape: Shape, step: number): Tensor {
  const x = randomTensor(random, shape, { low: -40 * step, high: 40 * step });
  return float32Tensor(
    shape,
    float32Data(x).map((value, i) => (i % 2 === 0 ? (Math.round((2 * value) / step) / 2) * step : value)),
  );
}

/** Elements with one zero: rounding −0.3 may give it with either sign. */
function numbers(tensor: Tensor | undefined): Float32Array | undefined {
  return tensor === undefined ? undefined : float32Data(tensor).map((value) => value + 0);
}

describe("the cpu lowering of a quantizer", () => {
  const drawn = fc.record({
    quantizer: fc.constantFrom("uniform", "lsq"),
    bits: fc.integer({ min: 2, max: 12 }),
    nonNegative: fc.boolean(),
    zeroPoint: fc.integer({ min: 0, max: 3 }),
    step: fc.constantFrom(0.25, 0.3, 0.01),
    relued: fc.boolean(),
    shape: shapes,
  });

  it("gives the same codes and the same mask, bit for bit", async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ quantizer, bits, nonNegative, zeroPoint, step, relued, shape: size }) => {
        const shape = [size.batch, size.channels, size.height, size.width];
        const random = seeded(size.seed);
        const signed = !nonNegative && quantizer === "lsq";
        const spec: QuantizerSpec = {
          quantizer,
          bits,
          quantMin: signed ? -(2 ** (bits - 1)) : 0,
          quantMax: signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1,
          nonNegative,
          options: {},
        };
        const feeds: Record<string, Tensor> = {
          x: withTies(random, shape, step),
          dy: randomTensor(random, shape),
          scale: float32Tensor([], [step]),
          zero_point: float32Tensor([], [nonNegative ? 0 : zeroPoint]),
        };
        const b = newBuilder("quantizer");
        const input = (name: string) => b.input(name, feeds[name] ?? { dtype: "float32", shape: [] });
        const [image, dy, scale] = [input("x"), input("dy"), input("scale")];
        const copied = size.blocked ? blockedCopy(b, image, feeds) : image;
        const x = nonNegative || relued ? relu(b, copied) : copied;
        const parameters = quantizer === "uniform" ? { scale, zero_point: input("zero_point") } : { scale };
        const y = fakeQuantize(b, x, spec, parameters);
        const [dx] = b.node(
          "FakeQuantizeGrad",
          [dy, y, x, ...Object.values(parameters)],
          { spec: { spec } },
          { domain: subbyteDomain },
        );
        b.output("y", y);
        b.output("dx", dx ?? y);
        const { generic, cpu } = await runBoth(b.finish(), feeds);
        for (const name of ["y", "dx"]) expect(numbers(cpu[name]), name).toEqual(numbers(generic[name]));
      }),
      { seed: 13, numRuns: 60 },
    );
  });
});
