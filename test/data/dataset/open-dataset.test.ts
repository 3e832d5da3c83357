/** openDataset: CIFAR, IDX, the split, the normalization, and what it says of what it does not know. */
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBatch, type Dataset } from "../../../src/data/dataset/dataset.ts";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { splitForValidation, withoutLabels } from "../../../src/data/dataset/subset.ts";
import { encodeIdx } from "../../../src/data/formats/idx/idx.ts";
import { ConfigError, FileFormatError } from "../../../src/errors.ts";
import { bytes, cifar, floats, labels, put } from "../files.ts";
import { errorOf, numberedSamples, temporaryFolder } from "../support.ts";

function cifar10(label: (i: number) => number = (i) => i % 10): Record<string, Uint8Array> {
  const batches = [1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, cifar(10, 1, label)] as const);
  return { ...Object.fromEntries(batches), "test_batch.bin": cifar(4, 1, label) };
}

function targetsOf(dataset: Dataset): number[] {
  const batch = allocateBatch(dataset, dataset.count);
  dataset.readBatch(
    Int32Array.from({ length: dataset.count }, (_, i) => i),
    batch,
  );
  return Array.from(batch.targets);
}

describe("CIFAR", () => {
  test("CIFAR-10 in the archive's own folder, with the names of its classes", async () => {
    const inner = Object.entries(cifar10()).map(([name, file]) => [`cifar-10-batches-bin/${name}`, file] as const);
    const folder = await put(await temporaryFolder(), Object.fromEntries(inner));
    const { kind, train, test } = await openDataset(folder);
    expect([kind, train.count, test.count, train.sampleShape]).toEqual(["cifar10", 50, 4, [3, 32, 32]]);
    expect(train.target.kind === "classes" && train.target.classes[3]).toBe("cat");
    const batch = allocateBatch(train, 1);
    train.readBatch(Int32Array.of(13), batch);
    expect([batch.samples[0], batch.samples[3071], batch.targets[0]]).toEqual([3, 3, 3]);
  });

  test("CIFAR-100 has fine labels", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `fine ${i}`).join("\n");
    const folder = await put(await temporaryFolder(), {
      "train.bin": cifar(5, 2, (i) => 95 + i),
      "test.bin": cifar(2, 2, (i) => i),
      "fine_label_names.txt": `${names}\n`,
    });
    const { kind, train } = await openDataset(folder, { trainLimit: 2, splitSeed: 1 });
    expect([kind, train.count, train.target.kind === "classes" && train.target.classes[99]]).toEqual([
      "cifar100",
      2,
      "fine 99",
    ]);
  });

  test("truncated, missing and pickled files, and labels out of range, are named", async () => {
    const folder = await put(await temporaryFolder(), { ...cifar10(), "data_batch_3.bin": new Uint8Array(5000) });
    const open = (options = {}) => errorOf(() => openDataset(folder, options));
    expect((await open()).describe()).toMatch(/data_batch_3.bin: 5000 bytes are not a whole number of records of 3073/);
    await put(folder, { "data_batch_3.bin": cifar(10, 1, (i) => (i === 7 ? 10 : 0)) });
    expect((await open()).describe()).toMatch(
      /data_batch_3.bin: record 7 has the label 10; CIFAR-10 has labels from 0 to 9/,
    );
    expect((await open({ kind: "cifar100" })).message).toMatch(/no data of the kind cifar100/);
    const part = await put(await temporaryFolder(), { "data_batch_1.bin": cifar(1, 1, () => 0) });
    expect((await errorOf(() => openDataset(part))).describe()).toMatch(
      /there is no data_batch_2\.bin, which CIFAR-10 has/,
    );
    const pickled = await put(await temporaryFolder(), { data_batch_1: "x", test_batch: "x" });
    expect((await errorOf(() => openDataset(pickled))).describe()).toMatch(
      /pickled Python version.*\n.*binary version/,
    );
  });
});

describe("IDX", () => {
  const images = (count: number) => encodeIdx({ shape: [count, 3, 3], data: new Uint8Array(9 * count).fill(5) });
  const idxLabels = (...values: number[]) => encodeIdx({ shape: [values.length], data: Uint8Array.from(values) });

  test("pairs as MNIST and EMNIST name them, with the classes' numbers or names", async () => {
    const folder = await put(await temporaryFolder(), {
      "emnist-x-train-images-idx3-ubyte": images(3),
      "emnist-x-train-labels-idx1-ubyte": idxLabels(1, 2, 3),
      "emnist-x-test-images-idx3-ubyte": images(1),
      "emnist-x-test-labels-idx1-ubyte": idxLabels(4),
    });
    const { kind, train, test } = await openDataset(folder);
    expect([kind, train.count, test.count]).toEqual(["idx", 3, 1]);
    expect(train.target).toEqual({ kind: "classes", classes: ["0", "1", "2", "3", "4"] });
    await put(folder, { "classes.txt": "a\nb\nc\nd\n" });
    expect((await errorOf(() => openDataset(folder))).message).toMatch(
      /label 4 of image 0 is not one of the 4 classes/,
    );
  });

  test("one part is split; half a pair and two data sets are explained", async () => {
    const folder = await put(await temporaryFolder(), {
      "train-images.idx3-ubyte": images(10),
      "train-labels.idx1-ubyte": idxLabels(0, 1, 0, 1, 0, 1, 0, 1, 0, 1),
    });
    const { train, test } = await openDataset(folder);
    expect([targetsOf(train).sort(), targetsOf(test).sort()]).toEqual([
      [0, 0, 0, 0, 1, 1, 1, 1],
      [0, 1],
    ]);
    await put(folder, { "t10k-images.idx3-ubyte": images(2) });
    expect((await errorOf(() => openDataset(folder))).message).toMatch(/has no matching file of labels/);
    await put(folder, { "kmnist-train-images-idx3-ubyte": images(2) });
    expect((await errorOf(() => openDataset(folder))).message).toMatch(/several data sets/);
  });

  test("the part of Fashion-MNIST is known by its name and its folder", async () => {
    const named = await openDataset("fashion-mnist-part", { trainLimit: 5 });
    expect([named.kind, named.path, named.train.count, named.notes]).toEqual(["fashion-mnist", undefined, 5, []]);
    const opened = await openDataset("data/fashion-mnist");
    expect(opened.train.target).toEqual(named.train.target);
  });
});

describe("the split", () => {
  test("is the same for the same seed, disjoint, whole, and takes the same share of each class", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 20, maxLength: 80 }), fc.nat(1000), (classes, seed) => {
        const whole = { dataset: numberedSamples(classes.length), labels: Int32Array.from(classes) };
        const { train, test } = splitForValidation(whole, 0.25, seed);
        const numbers = (dataset: Dataset) => {
          const batch = allocateBatch(dataset, dataset.count);
          dataset.readBatch(
            Int32Array.from({ length: dataset.count }, (_, i) => i),
            batch,
          );
          return Array.from(batch.samples);
        };
        const [a, b] = [numbers(train.dataset), numbers(test.dataset)];
        expect([...a, ...b].sort((x, y) => x - y)).toEqual(classes.map((_, i) => i));
        expect(numbers(splitForValidation(whole, 0.25, seed).test.dataset)).toEqual(b);
        for (const label of new Set(classes)) {
          const members = classes.filter((each) => each === label).length;
          const taken = b.filter((index) => classes[index] === label).length;
          expect(taken).toBe(Math.min(members - 1, Math.round(members / 4)));
        }
      }),
      { numRuns: 30 },
    );
  });

  test("another seed gives another split; shares that cannot be are refused", async () => {
    const whole = { dataset: numberedSamples(100) };
    const first = (seed: number) => {
      const { dataset } = splitForValidation(whole, 0.1, seed).test;
      const batch = allocateBatch(dataset, 10);
      dataset.readBatch(
        Int32Array.from({ length: 10 }, (_, i) => i),
        batch,
      );
      return batch.samples.join();
    };
    expect(first(1)).not.toBe(first(2));
    expect((await errorOf(() => splitForValidation(whole, 1, 0))).message).toMatch(/split of 1 is not possible/);
  });

  test("labels can be left out", async () => {
    const dataset = withoutLabels(numberedSamples(4));
    const batch = allocateBatch(dataset, 2);
    dataset.readBatch(Int32Array.of(3, 1), batch);
    expect(batch).toEqual({ samples: Float32Array.of(3, 1), targets: new Float32Array(0) });
  });
});

describe("the normalization", () => {
  test("is measured from the training part, given, ImageNet's, or none", async () => {
    const folder = await put(await temporaryFolder(), {
      "x_train.npy": floats([4, 2], (i) => i),
      "x_test.npy": floats([2, 2], () => 1e6),
    });
    const of = async (normalization?: "imagenet" | "none" | { mean: number[]; std: number[] }) =>
      (await openDataset(folder, normalization === undefined ? {} : { normalization })).test.normalization;
    const measured = await of();
    expect(measured.mean).toEqual([3, 4]);
    expect(measured.std[0]).toBeCloseTo(Math.sqrt(5), 12);
    expect(await of("none")).toEqual({ scale: 1, mean: [0, 0], std: [1, 1] });
    expect(await of({ mean: [1, 2], std: [3, 4] })).toEqual({ scale: 1, mean: [1, 2], std: [3, 4] });
    expect((await errorOf(() => of("imagenet"))).message).toMatch(/3 means and 3 stds, the samples have 2 channels/);
    expect((await errorOf(() => of({ mean: [1, 2], std: [0, 4] }))).message).toMatch(/stds numbers above 0/);
    await put(folder, { "x_train.npy": floats([4, 2], (i) => (i === 5 ? Number.NaN : i)) });
    expect((await errorOf(() => of())).describe()).toMatch(/x_train\.npy: sample 2 holds NaN/);
  });
});

describe("what is not known", () => {
  test.each([
    ["a.zip", "x", FileFormatError, /Unpack the archive/],
    ["data_batch_1.bin", "x", FileFormatError, /give its folder/],
    ["a.txt", "x", FileFormatError, /Expected a folder of images/],
  ] as const)("the file %s", async (name, contents, kind, remedy) => {
    const folder = await put(await temporaryFolder(), { [name]: contents });
    const error = await errorOf(() => openDataset(join(folder, name)));
    expect(error).toBeInstanceOf(kind);
    expect(error.remedy).toMatch(remedy);
  });

  test("folders with nothing known, or with several kinds, say what they hold", async () => {
    const folder = await put(await temporaryFolder(), { "a.txt": "x", "b.md": "x" });
    expect((await errorOf(() => openDataset(folder))).message).toBe(
      "there is no data of a known kind here: found a.txt, b.md",
    );
    await put(folder, { "x.npy": bytes([5, 4], (i) => i), "y.npy": labels(5, () => 0), "t.csv": "a,b\n1,2\n3,4\n" });
    const error = await errorOf(() => openDataset(folder));
    expect([error.message, error instanceof ConfigError]).toEqual([
      "there are several kinds of data here: npy, csv",
      true,
    ]);
    expect((await openDataset(folder, { kind: "csv", task: "regression", validationSplit: 0.5 })).kind).toBe("csv");
    expect((await openDataset(folder, { kind: "npy" })).train.sampleType).toBe("uint8");
  });
});
