/** Batches are functions of (seed, epoch, step), and no sample is seen twice in an epoch or left out of an evaluation. */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { evaluationBatches, trainingBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type Dataset } from "../../../src/data/dataset/dataset.ts";
import { ConfigError } from "../../../src/errors.ts";
import { errorOf, numberedSamples, patternedImages } from "../support.ts";

const sizes = fc
  .integer({ min: 1, max: 120 })
  .chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 1, max: count })));

function samplesOfEpoch(dataset: Dataset, batchSize: number, seed: number, epoch: number): number[] {
  const batches = trainingBatches(dataset, { seed, batchSize });
  const buffers = allocateBatch(dataset, batchSize);
  return Array.from({ length: batches.stepsPerEpoch }, (_, step) => {
    batches.read(epoch, step, buffers);
    return Array.from(buffers.samples);
  }).flat();
}

describe("training", () => {
  test("an epoch shows every sample once, but for those that do not fill a batch", () => {
    fc.assert(
      fc.property(sizes, fc.maxSafeInteger(), fc.nat(1000), ([count, batchSize], seed, epoch) => {
        const seen = samplesOfEpoch(numberedSamples(count), batchSize, seed, epoch);
        expect(seen).toHaveLength(count - (count % batchSize));
        expect(new Set(seen).size).toBe(seen.length);
      }),
    );
  });

  test("labels stay with their samples", () => {
    const dataset = numberedSamples(50);
    const buffers = allocateBatch(dataset, 10);
    trainingBatches(dataset, { seed: 3, batchSize: 10 }).read(2, 4, buffers);
    expect(Array.from(buffers.targets)).toEqual(Array.from(buffers.samples, (index) => index % 3));
  });

  test("epochs and seeds have other orders, the same seed the same", () => {
    const dataset = numberedSamples(100);
    expect(samplesOfEpoch(dataset, 10, 1, 0)).toEqual(samplesOfEpoch(dataset, 10, 1, 0));
    expect(samplesOfEpoch(dataset, 10, 1, 0)).not.toEqual(samplesOfEpoch(dataset, 10, 1, 1));
    expect(samplesOfEpoch(dataset, 10, 1, 0)).not.toEqual(samplesOfEpoch(dataset, 10, 2, 0));
  });

  test("a batch does not depend on the batches before it", () => {
    const dataset = patternedImages(60, [2, 6, 5]);
    const options = { seed: 11, batchSize: 8, cropPadding: 2, horizontalFlip: true };
    const continuous = trainingBatches(dataset, options);
    const read = (batches: typeof continuous, epoch: number, step: number) => {
      const buffers = allocateBatch(dataset, options.batchSize);
      batches.read(epoch, step, buffers);
      return buffers;
    };
    const recorded = [0, 1, 2, 3].map((epoch) =>
      Array.from({ length: continuous.stepsPerEpoch }, (_, step) => read(continuous, epoch, step)),
    );
    fc.assert(
      fc.property(fc.nat(3), fc.nat(continuous.stepsPerEpoch - 1), (epoch, step) => {
        const expected = recorded[epoch]?.[step];
        expect(read(trainingBatches(dataset, options), epoch, step)).toEqual(expected);
        expect(read(continuous, epoch, step)).toEqual(expected);
      }),
    );
    const flat = recorded.flat().map((batch) => batch.samples.join());
    expect(new Set(flat).size).toBe(flat.length);
  });

  test("augmentation does not change which samples are seen", () => {
    const dataset = patternedImages(30);
    const plain = trainingBatches(dataset, { seed: 5, batchSize: 6 });
    const augmented = trainingBatches(dataset, { seed: 5, batchSize: 6, cropPadding: 1, horizontalFlip: true });
    expect(augmented.indices(3, 2)).toEqual(plain.indices(3, 2));
    const buffers = allocateBatch(dataset, 6);
    augmented.read(3, 2, buffers);
    expect(Array.from(buffers.targets)).toEqual(Array.from(plain.indices(3, 2), (index) => index % 10));
  });

  test("augmented samples are cut from the right originals", () => {
    const dataset = patternedImages(12);
    const batches = trainingBatches(dataset, { seed: 1, batchSize: 4, cropPadding: 1 });
    const buffers = allocateBatch(dataset, 4);
    batches.read(0, 1, buffers);
    const originals = allocateBatch(dataset, 4);
    dataset.readBatch(batches.indices(0, 1), originals);
    for (let sample = 0; sample < 4; sample++) {
      const values = new Set(originals.samples.subarray(sample * 20, (sample + 1) * 20));
      const shown = Array.from(buffers.samples.subarray(sample * 20, (sample + 1) * 20)).filter((value) => value !== 0);
      expect(shown.length).toBeGreaterThanOrEqual(3 * 4);
      expect(shown.every((value) => values.has(value))).toBe(true);
    }
  });

  test("a batch larger than the data tells both numbers and what to do", async () => {
    const error = await errorOf(() => trainingBatches(numberedSamples(100), { seed: 1, batchSize: 128 }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.describe()).toBe(
      'data set "numbered": a batch of 128 is larger than the data, which has 100 samples\n' +
        "  Set the batch size to 100 or less, or load more data.",
    );
  });

  test("impossible sizes, positions and buffers are refused", async () => {
    const dataset = patternedImages(10);
    for (const batchSize of [0, -1, 2.5, Number.NaN]) {
      expect(() => trainingBatches(dataset, { seed: 1, batchSize })).toThrow(ConfigError);
      expect(() => evaluationBatches(dataset, batchSize)).toThrow(ConfigError);
    }
    const batches = trainingBatches(dataset, { seed: 1, batchSize: 4, horizontalFlip: true });
    const buffers = allocateBatch(dataset, 4);
    expect((await errorOf(() => batches.read(0, 2, buffers))).message).toBe(
      "there is no step 2: it must be a whole number from 0 to 1",
    );
    expect(() => batches.read(-1, 0, buffers)).toThrow(ConfigError);
    expect((await errorOf(() => batches.read(0, 0, allocateBatch(dataset, 3)))).message).toBe(
      "a batch needs a Uint8Array of 80 elements, got a Uint8Array of 60",
    );
    const floats = { samples: new Float32Array(80), targets: buffers.targets };
    expect(() => batches.read(0, 0, floats)).toThrow(ConfigError);
  });

  test("a streaming data set is asked for the same samples ahead", async () => {
    const prefetch = vi.fn(async (_indices: Int32Array) => {});
    const batches = trainingBatches({ ...numberedSamples(20), prefetch }, { seed: 1, batchSize: 5 });
    await batches.prefetch(1, 2);
    expect(prefetch.mock.calls[0]?.[0]).toEqual(batches.indices(1, 2));
    await expect(
      trainingBatches(numberedSamples(20), { seed: 1, batchSize: 5 }).prefetch(0, 0),
    ).resolves.toBeUndefined();
  });
});

describe("evaluation", () => {
  test("shows every sample once, in order; the last batch is filled up with its last sample", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 80 }), (count, batchSize) => {
        const dataset = numberedSamples(count);
        const batches = evaluationBatches(dataset, batchSize);
        const buffers = allocateBatch(dataset, batchSize);
        const seen: number[] = [];
        for (let step = 0; step < batches.stepCount; step++) {
          const valid = batches.read(step, buffers);
          seen.push(...buffers.samples.subarray(0, valid));
          expect(Array.from(buffers.samples.subarray(valid))).toEqual(new Array(batchSize - valid).fill(count - 1));
        }
        expect(seen).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  test("refuses a step that is not there and prefetches what it reads", async () => {
    const prefetch = vi.fn(async (_indices: Int32Array) => {});
    const batches = evaluationBatches({ ...numberedSamples(7), prefetch }, 4);
    expect(() => batches.read(2, allocateBatch(numberedSamples(7), 4))).toThrow(ConfigError);
    await batches.prefetch(1);
    expect(Array.from(prefetch.mock.calls[0]?.[0] ?? [])).toEqual([4, 5, 6, 6]);
  });
});
