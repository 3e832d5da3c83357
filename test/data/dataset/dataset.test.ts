/** Data sets in memory give the samples that are asked for and refuse what does not fit; normalization is torchvision's. */
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBatch, classesOf, firstSamples, inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { readIdxDataset } from "../../../src/data/formats/idx/dataset.ts";
import { writeIdx } from "../../../src/data/formats/idx/idx.ts";
import { measureNormalization, normalize, toChannelAffine } from "../../../src/data/normalization/normalization.ts";
import { ConfigError, FileFormatError } from "../../../src/errors.ts";
import { errorOf, numberedSamples, patternedImages, temporaryFolder } from "../support.ts";

describe("inMemoryDataset", () => {
  test("readBatch copies any samples in the order asked for", () => {
    const dataset = patternedImages(20);
    fc.assert(
      fc.property(fc.array(fc.nat(19), { minLength: 1, maxLength: 6 }), (chosen) => {
        const batch = allocateBatch(dataset, 6);
        dataset.readBatch(Int32Array.from(chosen), batch);
        chosen.forEach((index, position) => {
          for (let i = 0; i < 20; i++) expect(batch.samples[position * 20 + i]).toBe(((index * 31 + i * 7) % 251) + 1);
          expect(batch.targets[position]).toBe(index % 10);
        });
      }),
    );
  });

  test("values of any shape are targets too", () => {
    const dataset = inMemoryDataset({
      name: "regression",
      samples: new Float32Array([1, 2, 3, 4, 5, 6]),
      sampleShape: [2],
      targets: new Float32Array([10, 11, 20, 21, 30, 31]),
      target: { kind: "values", shape: [2] },
    });
    const batch = allocateBatch(dataset, 2);
    dataset.readBatch(Int32Array.of(2, 0), batch);
    expect(batch).toEqual({ samples: new Float32Array([5, 6, 1, 2]), targets: new Float32Array([30, 31, 10, 11]) });
    expect(() => classesOf(dataset)).toThrow(ConfigError);
  });

  test("what does not fit is refused", async () => {
    const dataset = patternedImages(4);
    const batch = allocateBatch(dataset, 2);
    const read = (...indices: number[]) => errorOf(() => dataset.readBatch(Int32Array.from(indices), batch));
    expect((await read(0, 4)).message).toBe("there is no sample 4, the last is 3");
    expect((await read(-1)).message).toMatch(/no sample -1/);
    expect((await read(0, 1, 2)).message).toMatch(/3 samples need buffers of 60 and 3 elements, got 40 and 2/);
    const floats = { samples: new Float32Array(40), targets: batch.targets };
    expect((await errorOf(() => dataset.readBatch(Int32Array.of(0), floats))).message).toMatch(/uint8/);
    const values = { samples: batch.samples, targets: new Float32Array(2) };
    expect((await errorOf(() => dataset.readBatch(Int32Array.of(0), values))).message).toMatch(/targets are classes/);
  });

  test("contradicting parts are refused", async () => {
    const build = (samples: number, targets: number[], sampleShape = [2]) =>
      errorOf(() =>
        inMemoryDataset({
          name: "parts",
          samples: new Uint8Array(samples),
          sampleShape,
          targets: Int32Array.from(targets),
          target: { kind: "classes", classes: ["a", "b"] },
        }),
      );
    expect((await build(5, [0, 1])).message).toMatch(/5 elements are not one or more samples of shape \[2\]/);
    expect((await build(0, [])).message).toMatch(/0 elements/);
    expect((await build(4, [0, 1], [0])).message).toMatch(/4 elements/);
    expect((await build(4, [0])).message).toMatch(/2 samples need 2 targets, got 1/);
    expect((await build(4, [0, 2])).message).toMatch(/sample 1 has the label 2, there are 2 classes/);
  });

  test("firstSamples is a part with the same normalization", async () => {
    const dataset = numberedSamples(10);
    const part = firstSamples(dataset, 4);
    expect([part.count, part.normalization]).toEqual([4, dataset.normalization]);
    expect(firstSamples(dataset, 10)).toBe(dataset);
    expect((await errorOf(() => part.readBatch(Int32Array.of(4), allocateBatch(part, 1)))).message).toMatch(
      /no sample 4/,
    );
    expect((await errorOf(() => firstSamples(dataset, 11))).describe()).toMatch(
      /11 samples were requested, there are 10/,
    );
  });
});

describe("normalization", () => {
  test("measured bytes become mean 0 and std 1 in every channel", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), (samples) => {
        const shape = [3, 2, 2];
        const measured = measureNormalization(samples, shape);
        const normalized = new Float32Array(24);
        normalize(samples, shape, measured, normalized);
        for (let channel = 0; channel < 3; channel++) {
          const values = Array.from(normalized).filter((_, i) => Math.floor(i / 4) % 3 === channel);
          const mean = values.reduce((sum, value) => sum + value, 0) / 8;
          const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 8;
          expect(mean).toBeCloseTo(0, 4);
          expect(variance).toBeCloseTo(values.every((value) => value === values[0]) ? 0 : 1, 3);
        }
      }),
    );
  });

  test("bytes are measured in units of 255, floats as they are", () => {
    expect(measureNormalization(Uint8Array.of(0, 255), [1])).toEqual({ scale: 1 / 255, mean: [0.5], std: [0.5] });
    expect(measureNormalization(Float32Array.of(1, 5, 3, 5), [2])).toEqual({ scale: 1, mean: [2, 5], std: [1, 1] });
  });

  test("the affine form is the same function", () => {
    const { multiplier, offset } = toChannelAffine({ scale: 1 / 255, mean: [0.5], std: [0.25] });
    expect(100 * (multiplier[0] ?? 0) + (offset[0] ?? 0)).toBeCloseTo((100 / 255 - 0.5) / 0.25, 5);
  });

  test("values that are not finite and empty data are refused", () => {
    expect(() => measureNormalization(Float32Array.of(1, Number.NaN), [1])).toThrow(ConfigError);
    expect(() => measureNormalization(new Uint8Array(0), [1])).toThrow(ConfigError);
    expect(() => normalize(new Uint8Array(2), [1], { scale: 1, mean: [0], std: [1] }, new Float32Array(1))).toThrow(
      ConfigError,
    );
  });
});

describe("readIdxDataset", () => {
  async function pairOf(images: readonly number[], labels: readonly number[], labelShape = [labels.length]) {
    const folder = await temporaryFolder();
    const pair = {
      name: "digits",
      imagesPath: join(folder, "images.gz"),
      labelsPath: join(folder, "labels.gz"),
      classes: ["zero", "one"],
    };
    const length = images.reduce((product, size) => product * size, 1);
    await writeIdx(pair.imagesPath, { shape: images, data: new Uint8Array(length).fill(9) });
    await writeIdx(pair.labelsPath, { shape: labelShape, data: Uint8Array.from(labels) });
    return pair;
  }

  test("reads images and labels", async () => {
    const dataset = await readIdxDataset(await pairOf([3, 2, 2], [0, 1, 1]));
    expect([dataset.count, dataset.sampleShape, classesOf(dataset)]).toEqual([3, [1, 2, 2], ["zero", "one"]]);
    const batch = allocateBatch(dataset, 1);
    dataset.readBatch(Int32Array.of(2), batch);
    expect(batch).toEqual({ samples: Uint8Array.of(9, 9, 9, 9), targets: Int32Array.of(1) });
  });

  test.each([
    ["labels of another count", [3, 2, 2], [0, 1], undefined, /2 labels do not fit the 3 images/, "labels.gz"],
    [
      "a label beyond the classes",
      [2, 2, 2],
      [0, 7],
      undefined,
      /label 7 of image 1 is not one of the 2 classes/,
      "labels.gz",
    ],
    [
      "images of rank 2",
      [2, 4],
      [0, 1],
      undefined,
      /expected images \[count, height, width\], got the shape \[2, 4\]/,
      "images.gz",
    ],
    ["no images", [0, 2, 2], [], undefined, /expected images/, "images.gz"],
    ["labels of rank 2", [2, 2, 2], [0, 1], [2, 1], /expected labels \[count\]/, "labels.gz"],
  ])("refuses %s", async (_, images, labels, labelShape, message, file) => {
    const error = await errorOf(async () => readIdxDataset(await pairOf(images, labels, labelShape)));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.message).toMatch(message);
    expect(error.where).toMatch(file);
  });
});
