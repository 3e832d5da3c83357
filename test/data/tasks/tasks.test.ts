/** Tasks that make their targets: masked tokens, next tokens, the samples themselves; and classes of positions. */
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { trainingBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type Dataset, ignoredLabel } from "../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { maskTokens } from "../../../src/data/tasks/masking.ts";
import type { FileInput } from "../../../src/onnx/read/file.ts";
import { bytesOf, floats, labels, npy, npz, put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

function integers(shape: readonly number[], value: (i: number) => number): Uint8Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return npy("<i8", shape, bytesOf(BigInt64Array.from({ length }, (_, i) => BigInt(value(i)))));
}

async function open(arrays: Readonly<Record<string, Uint8Array>>, options: OpenOptions) {
  const file = join(await put(await temporaryFolder(), { "x.npz": npz(arrays) }), "x.npz");
  return openDataset(file, { validationSplit: 0, ...options });
}

function read(dataset: Dataset, indices: readonly number[], epoch?: number) {
  const batch = allocateBatch(dataset, indices.length);
  dataset.readBatch(Int32Array.from(indices), batch, epoch === undefined ? undefined : { seed: 5, epoch });
  return { samples: Array.from(batch.samples), targets: Array.from(batch.targets) };
}

const length = 20;
const ids: FileInput = { name: "input_ids", dtype: "int64", dimensions: ["batch", length] };
const mask: FileInput = { name: "attention_mask", dtype: "int64", dimensions: ["batch", length] };
const token = (i: number) => 10 + ((i * 37) % 80);
const attention = (i: number) => (i % length < 15 ? 1 : 0);

describe("masked tokens", () => {
  const arrays = { input_ids: integers([40, length], token), attention_mask: integers([40, length], attention) };
  const options = { task: "maskedTokens", maskToken: 3, inputs: [ids, mask] } as const;

  test("15 % of the tokens that are read, 80 % of them masked, 10 % random, 10 % kept; the rest stays", () => {
    const random = randomStream(1, "test");
    let [chosen, masked, kept, all] = [0, 0, 0, 0];
    for (let round = 0; round < 400; round++) {
      const tokens = Int32Array.from({ length: 100 }, (_, i) => 5 + i);
      const targets = new Int32Array(100);
      const isRead = tokens.map((_, i) => Number(i < 60));
      const special = new Set([5, 6]);
      maskTokens(tokens, targets, { maskToken: 1, vocabulary: 1000, special, share: 0.15 }, random, isRead);
      targets.forEach((target, i) => {
        if (target === ignoredLabel) {
          expect(tokens[i]).toBe(5 + i);
          return;
        }
        expect(target).toBe(5 + i);
        expect(i >= 2 && i < 60).toBe(true);
        chosen++;
        if (tokens[i] === 1) masked++;
        if (tokens[i] === 5 + i) kept++;
      });
      all += 58;
    }
    expect(chosen / all).toBeCloseTo(9 / 58, 10);
    // Three standard deviations of 3,600 draws.
    expect(Math.abs(masked / chosen - 0.8)).toBeLessThan(0.02);
    expect(Math.abs(kept / chosen - 0.1)).toBeLessThan(0.015);
  });

  test("depend on seed, epoch and sample alone, and in evaluation on the sample", async () => {
    const { train } = await open(arrays, options);
    const once = read(train, [7], 3);
    expect(read(train, [1, 7], 3).samples.slice(2 * length)).toEqual(once.samples);
    expect(read(train, [7], 4)).not.toEqual(once);
    expect(read(train, [7])).toEqual(read(train, [7]));
    const batches = trainingBatches(train, { seed: 5, batchSize: 8 });
    const batch = allocateBatch(train, 8);
    batches.read(3, 1, batch);
    const place = batches.indices(3, 1).indexOf(7);
    if (place >= 0) {
      expect(Array.from(batch.samples.subarray(place * 2 * length, (place + 1) * 2 * length))).toEqual(once.samples);
    }
    expect(Array.from(batch.targets).filter((target) => target >= 0).length).toBe(8 * 2);
  });

  test("padding is never masked, and the mask stays", async () => {
    const { train } = await open(arrays, options);
    for (let sample = 0; sample < 40; sample++) {
      const { samples, targets } = read(train, [sample], 0);
      expect(samples.slice(length)).toEqual(Array.from({ length }, (_, i) => attention(i)));
      expect(targets.slice(15).every((target) => target === ignoredLabel)).toBe(true);
    }
  });

  test("refused without a mask token, and on samples that are no tokens", async () => {
    const error = await errorOf(() => open(arrays, { task: "maskedTokens", inputs: [ids, mask] }));
    expect(error.message).toMatch(/number of the mask token/);
    const images = { x: floats([4, 3], () => 1) };
    expect((await errorOf(() => open(images, { task: "maskedTokens", maskToken: 1 }))).message).toMatch(/needs tokens/);
    expect((await errorOf(() => open(images, { task: "nextToken" }))).message).toMatch(/needs tokens/);
  });
});

describe("next tokens", () => {
  test("are the tokens shifted by one; what follows the last one, and padding, does not count", async () => {
    const arrays = { input_ids: integers([3, length], token), attention_mask: integers([3, length], attention) };
    const { train } = await open(arrays, { task: "nextToken", inputs: [ids, mask] });
    const { samples, targets } = read(train, [1]);
    const own = Array.from({ length }, (_, i) => token(length + i));
    expect(samples.slice(0, length)).toEqual(own);
    expect(targets).toEqual(own.map((_, i) => (i < 14 ? own[i + 1] : ignoredLabel)));
  });

  test("a sample of one token more gives the one after the last", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), async (count) => {
        const arrays = { x: integers([count, length + 1], token) };
        const { train } = await open(arrays, { task: "nextToken", inputs: [ids] });
        expect(train.sampleShape).toEqual([length]);
        const { samples, targets } = read(train, [count - 1]);
        const own = Array.from({ length: length + 1 }, (_, i) => token((count - 1) * (length + 1) + i));
        expect(samples).toEqual(own.slice(0, -1));
        expect(targets).toEqual(own.slice(1));
      }),
      { numRuns: 5 },
    );
  });
});

describe("autoencoders", () => {
  const x = floats([6, 4], (i) => i);

  test("have no targets of their own, and keep labels of two classes for the metric", async () => {
    const { train, test: held, notes } = await open({ x, y: labels(6, (i) => i % 2) }, { task: "autoencoder" });
    expect(train.target).toEqual({ kind: "input", hasAnomalies: false });
    expect(held.target).toEqual({ kind: "input", hasAnomalies: true });
    expect(read(held, [0, 3]).targets).toEqual([0, 1]);
    expect(notes.some((note) => note.includes('class "1" is the anomaly'))).toBe(true);
  });

  test("say that other labels are not used", async () => {
    const { test: held, notes } = await open({ x, y: labels(6, (i) => i % 3) }, { task: "autoencoder" });
    expect(held.target).toEqual({ kind: "input", hasAnomalies: false });
    expect(notes.some((note) => note.includes("labels are not used"))).toBe(true);
    const without = await open({ x }, { task: "autoencoder" });
    expect(without.test.target).toEqual({ kind: "input", hasAnomalies: false });
  });
});

describe("classes of positions", () => {
  const x = floats([2, 1, 2, 3], (i) => i);
  test.each([
    ["tokenClassification", -100, undefined],
    ["segmentation", 255, undefined],
    ["segmentation", 9, 9],
  ] as const)("%s ignores %i", async (task, ignored, ignoreIndex) => {
    const y = integers([2, 2, 3], (i) => (i % 5 === 0 ? ignored : i % 3));
    const { train } = await open({ x, y }, { task, ...(ignoreIndex === undefined ? {} : { ignoreIndex }) });
    expect(train.target).toMatchObject({ kind: "dense", shape: [2, 3], classes: ["0", "1", "2"] });
    expect(read(train, [0]).targets).toEqual([-1, 1, 2, 0, 1, -1]);
  });

  test("refused with the sample and the position", async () => {
    const y = integers([2, 2, 3], (i) => (i === 8 ? -7 : 0));
    const error = await errorOf(() => open({ x, y }, { task: "segmentation" }));
    expect(error.message).toMatch(/sample 1, position 2 has the class -7.*nor 255/);
  });

  test("without a task they are values, and a note names the task", async () => {
    const { train, notes } = await open({ x, y: integers([2, 2, 3], (i) => i % 3) }, {});
    expect(train.target).toEqual({ kind: "values", shape: [2, 3] });
    expect(notes.join()).toMatch(/data\.task: tokenClassification or segmentation/);
  });
});
