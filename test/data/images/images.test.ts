/** Folders of images: layouts, sizes, crops, images that do not decode, the cache, bounded memory. */
import { readdir, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { evaluationBatches, trainingBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type Dataset } from "../../../src/data/dataset/dataset.ts";
import { openDataset, skippedSamples } from "../../../src/data/dataset/open-dataset.ts";
import { SampleStore } from "../../../src/data/dataset/sample-store.ts";
import { noneReadable } from "../../../src/data/images/files.ts";
import { InterruptedError } from "../../../src/errors.ts";
import { image, put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

const red = [250, 0, 0] as const;
const blue = [0, 0, 250] as const;
let redPng: Buffer;
let bluePng: Buffer;

beforeAll(async () => {
  redPng = await image(12, 10, red);
  bluePng = await image(12, 10, blue);
});

/** The samples of a data set in order: of each the first value of every channel, and the target. */
async function looks(dataset: Dataset): Promise<number[][]> {
  const batches = evaluationBatches(dataset, 1);
  const batch = allocateBatch(dataset, 1);
  const seen: number[][] = [];
  const plane = batch.samples.length / (dataset.sampleShape[0] ?? 1);
  for (let step = 0; step < batches.stepCount; step++) {
    await batches.prefetch(step);
    batches.read(step, batch);
    seen.push([...batch.samples.filter((_, i) => i % plane === 0), ...batch.targets]);
  }
  return seen;
}

describe("layouts", () => {
  test("train/ and val/ with a folder for each class, sorted by name, in any format", async () => {
    const folder = await put(await temporaryFolder(), {
      "train/b/1.png": redPng,
      "train/a/deep/2.JPG": await image(12, 10, blue, "jpeg"),
      "train/a/notes.txt": "not an image",
      "train/.hidden/x.png": redPng,
      "val/b/3.webp": await image(12, 10, red, "webp"),
    });
    const { train, test, kind, notes } = await openDataset(folder, { normalization: "imagenet" });
    expect([kind, train.target, train.sampleShape]).toEqual([
      "images",
      { kind: "classes", classes: ["a", "b"] },
      [3, 10, 12],
    ]);
    const [first, second] = await looks(train);
    expect(first?.map((value, i) => (i < 3 ? Math.round(value / 50) : value))).toEqual([0, 0, 5, 0]);
    expect(second).toEqual([250, 0, 0, 1]);
    expect((await looks(test)).map((sample) => sample[3])).toEqual([1]);
    expect(notes.join("\n")).toMatch(
      /^images in train\/ and val\/: 2 to train on, in 2 class folders\n1 file in .* ignored/,
    );
    expect(train.normalization.mean).toEqual([0.485, 0.456, 0.406]);
  });

  test("images without class folders have no labels; grey ones have one channel", async () => {
    const grey = await image(6, 6, 77);
    const folder = await put(await temporaryFolder(), { "1.png": grey, "2.png": grey, "3.png": grey });
    const { train, test } = await openDataset(folder, { validationSplit: 0.34 });
    expect([train.target, train.sampleShape, train.count, test.count]).toEqual([{ kind: "none" }, [1, 6, 6], 2, 1]);
    expect(await looks(train)).toEqual([[77], [77]]);
  });

  test("an empty class folder, an unknown class, a folder without images are named", async () => {
    const folder = await put(await temporaryFolder(), { "train/a/1.png": redPng, "train/b/readme.md": "" });
    const open = () => errorOf(() => openDataset(folder));
    expect((await open()).describe()).toMatch(/train\/b: the class folder has no images\n.*each folder is a class/);
    await put(folder, { "train/b/1.png": redPng, "val/c/1.png": redPng });
    expect((await open()).message).toBe("the class folder c has no counterpart in the training part");
    const judged = await put(await temporaryFolder(), {
      "train/a/1.png": redPng,
      "train/b/1.png": redPng,
      "val/a/1.png": redPng,
      "val/b/readme.md": "",
    });
    const inVal = await errorOf(() => openDataset(judged));
    expect(inVal.describe()).toMatch(/val\/b: the class folder has no images/);
    await rm(join(judged, "val", "b"), { recursive: true });
    expect((await openDataset(judged)).test.count).toBe(1);
    const empty = await temporaryFolder();
    expect((await errorOf(() => openDataset(empty))).describe()).toMatch(
      /the folder is empty\n {2}Expected a folder of/,
    );
    await put(empty, { "1.png": redPng });
    expect((await errorOf(() => openDataset(empty))).message).toMatch(
      /1 samples are too few to hold out a share of 0.2/,
    );
  });

  test("a single class gives a note: its labels carry no information", async () => {
    const folder = await put(await temporaryFolder(), { "all/1.png": redPng, "all/2.png": bluePng });
    const { notes } = await openDataset(folder);
    expect(notes).toContain(
      'there is only one class, "all": its labels carry no information; --task distillation needs none',
    );
  });

  test("classes that are given fix the numbers", async () => {
    const folder = await put(await temporaryFolder(), { "x/1.png": redPng, "y/1.png": redPng });
    const options = { validationSplit: 0, normalization: "none" as const };
    const { train } = await openDataset(folder, { ...options, classes: ["y", "w", "x"] });
    expect((await looks(train)).map((sample) => sample[3])).toEqual([2, 0]);
    expect((await errorOf(() => openDataset(folder, { ...options, classes: ["x"] }))).message).toMatch(
      /folder y is not/,
    );
  });
});

describe("sizes", () => {
  test("a size is resized to and cropped; training crops at random within the margin", async () => {
    const wide = await image(300, 200, [10, 20, 30]);
    const folder = await put(await temporaryFolder(), { "a/1.png": wide, "b/1.png": wide, "b/2.png": wide });
    const { train } = await openDataset(folder, { size: 64, validationSplit: 0 });
    expect([train.sampleShape, train.wide?.shape]).toEqual([
      [3, 64, 64],
      [3, 73, 73],
    ]);
    const batches = trainingBatches(train, { seed: 1, batchSize: 2, cropPadding: 2, horizontalFlip: true });
    const batch = allocateBatch(train, 2);
    await batches.prefetch(0, 0);
    batches.read(0, 0, batch);
    expect([batch.samples[0], batch.samples[64 * 64], batch.samples[3 * 64 * 64 - 1]]).toEqual([10, 20, 30]);
    const exact = await openDataset(folder, { size: [32, 48], resize: 32, channels: 1 });
    expect([exact.train.sampleShape, exact.train.wide]).toEqual([[1, 32, 48], undefined]);
    expect((await errorOf(() => openDataset(folder, { size: 64, resize: 32 }))).message).toMatch(/cannot be cropped/);
    expect((await errorOf(() => openDataset(folder, { size: 0 }))).message).toMatch(/0x0 are not possible/);
  });

  test("random crops are windows of the wide image, the same for the same step", async () => {
    const gradient = Buffer.alloc(9 * 9, 0).map((_, i) => i);
    const png = await sharp(gradient, { raw: { width: 9, height: 9, channels: 1 } })
      .png()
      .toBuffer();
    const folder = await put(await temporaryFolder(), { "a/1.png": png, "b/1.png": png });
    const { train } = await openDataset(folder, { size: 7, resize: 9, validationSplit: 0 });
    const batches = trainingBatches(train, { seed: 3, batchSize: 2, cropPadding: 1 });
    const corners = new Set<number>();
    for (let epoch = 0; epoch < 40; epoch++) {
      const [once, again] = [allocateBatch(train, 2), allocateBatch(train, 2)];
      await batches.prefetch(epoch, 0);
      batches.read(epoch, 0, once);
      batches.read(epoch, 0, again);
      expect(again).toEqual(once);
      const corner = once.samples[0] ?? 0;
      corners.add(corner);
      expect(Array.from(once.samples.subarray(7, 14))).toEqual(Array.from({ length: 7 }, (_, i) => corner + 9 + i));
    }
    expect([...corners].sort((a, b) => a - b)).toEqual([0, 1, 2, 9, 10, 11, 18, 19, 20]);
    const middle = await looks(train);
    expect(middle[0]?.[0]).toBe(10);
  });
});

describe("images that do not decode", () => {
  async function withBroken(): Promise<string> {
    const noise = Buffer.alloc(64 * 64 * 3).map((_, i) => (i * i * 31) % 251);
    const big = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    return put(await temporaryFolder(), {
      "a/1.png": redPng,
      "a/2.png": "not an image",
      "a/3.jpg": big.subarray(0, big.length / 2),
      "b/1.png": bluePng,
    });
  }

  test("are skipped, counted and named; the next one stands in, with its own label", async () => {
    const folder = await withBroken();
    const opened = await openDataset(folder, { size: 10, validationSplit: 0, normalization: "none" });
    expect(opened.train.count).toBe(3);
    expect(await looks(opened.train)).toEqual([
      [250, 0, 0, 0],
      [0, 0, 250, 1],
      [0, 0, 250, 1],
    ]);
    const skipped = skippedSamples(opened);
    expect(skipped.map(({ name }) => name.slice(folder.length + 1))).toEqual(["a/2.png", "a/3.jpg"]);
    // What libvips says of an error is lost where several threads decode.
    expect(skipped[1]?.reason).toMatch(/premature end|damaged or truncated/);
    expect(opened.notes.join("\n")).toMatch(
      /1 could not be read and are skipped, the first: .*2.png: Input file contains/,
    );
  });

  test("the cache omits them, is reused, and is written again when damaged or out of date", async () => {
    const folder = await withBroken();
    const cache = await temporaryFolder();
    const options = { size: 10, validationSplit: 0, normalization: "none", cache } as const;
    const steps: number[] = [];
    const open = () => openDataset(folder, { ...options, onProgress: (done) => steps.push(done) });
    const first = await open();
    const expected = [
      [250, 0, 0, 0],
      [0, 0, 250, 1],
    ];
    expect(await looks(first.train)).toEqual(expected);
    expect([skippedSamples(first).length, steps]).toEqual([2, [1, 2, 3, 4]]);
    expect(await looks((await open()).train)).toEqual(expected);
    expect(steps.length).toBe(4);
    const [file = ""] = await readdir(cache);
    await truncate(join(cache, file), 100);
    expect(await looks((await open()).train)).toEqual(expected);
    expect([steps.length, (await readdir(cache)).length]).toEqual([8, 1]);
    await put(folder, { "b/2.png": redPng });
    expect((await open()).train.count).toBe(3);
    expect((await readdir(cache)).length).toBe(2);
  });

  test("the first of them is named, whichever failed first", () => {
    const list = { folder: "f", files: ["a.png", "b.png", "c.png"], labels: new Int32Array(3), otherFiles: 0 };
    const failed = new Map([
      [2, "late in the folder"],
      [0, "early in the folder"],
    ]);
    const text = noneReadable(list, 3, failed).describe();
    expect(text).toContain("f/a.png: none of 3 images can be read; the first: early in the folder");
  });

  test("only when none decodes is it an error", async () => {
    const folder = await put(await temporaryFolder(), { "a/1.png": "no", "b/1.jpg": "no" });
    expect((await errorOf(() => openDataset(folder))).describe()).toMatch(
      /a\/1.png: none of 2 images can be read; the first: Input/,
    );
    const half = redPng.subarray(0, redPng.length - 30);
    await put(folder, { "a/1.png": half, "b/1.jpg": half });
    const error = await errorOf(() => openDataset(folder, { size: 8, validationSplit: 0 }));
    expect(error.message).toMatch(/^none of (the 2 samples|2 images) can be read/);
    expect((await errorOf(() => openDataset(folder, { cache: join(folder, ".cache"), size: 8 }))).message).toMatch(
      /^none of 2/,
    );
  });
});

describe("the store of samples", () => {
  function store(count: number, memoryBytes: number, concurrency = 3) {
    const loads: number[] = [];
    let [running, most] = [0, 0];
    const source = {
      count,
      sampleBytes: 10,
      name: (index: number) => `${index}`,
      async load(index: number) {
        loads.push(index);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running--;
        return { samples: Uint8Array.of(index) };
      },
    };
    return { store: new SampleStore(source, { memoryBytes, concurrency }), loads, most: () => most };
  }

  test("keeps at most its bound or four batches, and reads a limited number at a time", async () => {
    const { store: kept, loads, most } = store(100, 10);
    for (let start = 0; start < 100; start += 5) {
      await kept.prefetch(Int32Array.from({ length: 5 }, (_, i) => start + i));
      expect(kept.get(start).samples[0]).toBe(start);
      expect(kept.size).toBeLessThanOrEqual(20);
    }
    expect([loads.length, most()]).toEqual([100, 3]);
  });

  test("reads each sample once where everything fits, also when asked for twice at a time", async () => {
    const { store: kept, loads } = store(10, 1000);
    const all = Int32Array.from({ length: 10 }, (_, i) => i);
    await Promise.all([kept.prefetch(all), kept.prefetch(all)]);
    await kept.prefetch(all);
    expect(loads.length).toBe(10);
  });

  test("stops when asked", async () => {
    const controller = new AbortController();
    const { store: kept, loads } = store(100, 1000);
    const reading = kept.prefetch(
      Int32Array.from({ length: 100 }, (_, i) => i),
      controller.signal,
    );
    controller.abort();
    expect(await errorOf(() => reading)).toBeInstanceOf(InterruptedError);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(loads.length).toBeLessThan(10);
  });

  test("training reads ahead of the batch that it waits for", async () => {
    const asked: string[] = [];
    const { train } = await openDataset("fashion-mnist-part", { trainLimit: 12 });
    const prefetch = async (indices: Int32Array) => void asked.push(indices.join());
    const batches = trainingBatches({ ...train, prefetch }, { seed: 1, batchSize: 4 });
    await batches.prefetch(0, 1);
    const expected = [batches.indices(0, 1), batches.indices(0, 2), batches.indices(1, 0)];
    expect(asked).toEqual(expected.map((indices) => indices.join()));
  });
});
