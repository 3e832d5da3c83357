/** Images with masks: layouts, classes, colours, sizes, and what is refused where. */
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { allocateBatch, type Dataset, ignoredLabel } from "../../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../../src/data/dataset/open-dataset.ts";
import { coveringNearest } from "../../../../src/data/formats/masks/dataset.ts";
import { image, put } from "../../files.ts";
import { errorOf, temporaryFolder } from "../../support.ts";
import { numbersAsPng } from "./png-file.ts";

const mask = (width: number, height: number, of: (i: number) => number) =>
  numbersAsPng(
    width,
    Array.from({ length: width * height }, (_, i) => of(i)),
  );

async function open(files: Readonly<Record<string, Uint8Array | string>>, options: OpenOptions = {}) {
  const folder = await put(await temporaryFolder(), files);
  return { folder, ...(await openDataset(folder, { validationSplit: 0, ...options })) };
}

async function refused(files: Readonly<Record<string, Uint8Array | string>>, options: OpenOptions = {}) {
  const error = await errorOf(() => open(files, options));
  return `${error.message}\n${error.where ?? ""}`;
}

async function targetsOf(dataset: Dataset) {
  const batch = allocateBatch(dataset, dataset.count);
  const all = Int32Array.from({ length: dataset.count }, (_, i) => i);
  await dataset.prefetch?.(all);
  dataset.readBatch(all, batch);
  return Array.from(batch.targets);
}

const small = await image(4, 3, 100);
const pair = { "images/a.png": small, "masks/a.png": mask(4, 3, (i) => i % 3) };

describe("images with masks", () => {
  test("have a class for each pixel, 255 not counted, numbered without names", async () => {
    const { train, kind, notes } = await open({
      ...pair,
      "images/b.png": small,
      "masks/b.png": mask(4, 3, (i) => (i === 5 ? 255 : 1)),
    });
    expect(kind).toBe("masks");
    expect(train.target).toEqual({ kind: "dense", shape: [3, 4], classes: ["0", "1", "2"], meaning: "regions" });
    const wanted = Array.from({ length: 24 }, (_, i) => (i < 12 ? i % 3 : i === 17 ? ignoredLabel : 1));
    expect(await targetsOf(train)).toEqual(wanted);
    expect(notes.some((note) => note.includes("no classes.txt"))).toBe(true);
  });

  test.each([
    ["parts within", { images: "images/train", masks: "masks/train" }, { images: "images/val", masks: "masks/val" }],
    ["parts around", { images: "train/images", masks: "train/masks" }, { images: "val/images", masks: "val/masks" }],
  ])("come in %s", async (_, train, held) => {
    const files = [train, held].map(({ images, masks }, part) => ({
      [`${images}/a.png`]: small,
      [`${masks}/a.png`]: mask(4, 3, () => part),
    }));
    const opened = await open({ ...files[0], ...files[1], "classes.txt": "road\nsky\n" });
    expect(opened.test).not.toBe(opened.train);
    expect(await targetsOf(opened.test)).toEqual(Array.from({ length: 12 }, () => 1));
    expect(opened.train.target).toMatchObject({ classes: ["road", "sky"] });
  });

  test("may have colours instead of numbers", async () => {
    const colours = await sharp(Buffer.from([128, 64, 128, 0, 0, 0]), { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer();
    const files = { "images/a.png": await image(2, 1, 9), "masks/a.png": colours };
    const { train } = await open({ ...files, "classes.txt": "sky #000000\nroad #804080" });
    expect(await targetsOf(train)).toEqual([1, 0]);
    const turned = await open({ ...files, "classes.txt": "sky #000000\nroad #804080" }, { classes: ["road", "sky"] });
    expect(await targetsOf(turned.train)).toEqual([0, 1]);
    expect(await refused(files)).toMatch(/no colour stands for a class.*masks\/a\.png/s);
    expect(await refused({ ...files, "classes.txt": "sky #000001\nroad #804080" })).toMatch(
      /row 0, column 1 has the colour #000000/,
    );
    expect(await refused({ ...files, "classes.txt": "sky\nroad #804080" })).toMatch(
      /has no colour.*classes.txt, line 1/s,
    );
  });

  test.each([
    [
      "a class that does not exist",
      { ...pair, "classes.txt": "a\nb" },
      /row 0, column 2 has the class 2,.*masks\/a\.png/s,
    ],
    ["another size", { ...pair, "masks/a.png": mask(3, 4, () => 0) }, /4x3 pixels.*images\/a.png 3x4.*masks\/a\.png/s],
    ["no mask", { ...pair, "images/b.png": small }, /no mask b\.png.*images\/b\.png/s],
    ["one mask for two images", { ...pair, "images/a.jpg": small }, /a\.jpg and a\.png have one name/],
    ["a damaged image", { ...pair, "images/a.png": "no image" }, /images can be read.*images\/a\.png/s],
    ["a damaged mask", { ...pair, "masks/a.png": "no mask" }, /another format.*masks\/a\.png/s],
    ["no images", { "images/x.txt": "", "masks/a.png": small }, /no images in this folder/],
  ])("are refused with the place: %s", async (_, files, wanted) => {
    expect(await refused(files)).toMatch(wanted);
  });

  test("are refused with another resize, and as a classification", async () => {
    expect(await refused(pair, { resize: 9 })).toMatch(/together with their masks\ndata\.resize/);
    expect(await refused(pair, { task: "classification" })).toMatch(/a class for each position/);
  });

  test("are cut and resized alike", async () => {
    for (const [width, height, size] of [
      [30, 20, 16],
      [9, 21, 16],
      [40, 40, 13],
      [16, 16, 16],
      [7, 30, 64],
      [101, 37, 32],
    ] as const) {
      const split = Math.floor(width * 0.45);
      const isRight = (i: number) => Number(i % width >= split);
      const pixels = Buffer.from(Array.from({ length: width * height }, (_, i) => 200 * isRight(i)));
      const drawn = await sharp(pixels, { raw: { width, height, channels: 1 } })
        .toColourspace("b-w")
        .png()
        .toBuffer();
      const { train } = await open({ "images/a.png": drawn, "masks/a.png": mask(width, height, isRight) }, { size });
      const batch = allocateBatch(train, 1);
      await train.prefetch?.(Int32Array.of(0));
      train.readBatch(Int32Array.of(0), batch);
      const differing = Array.from(batch.targets).filter((label, i) => label !== Number((batch.samples[i] ?? 0) > 100));
      // Along the edge the image is a mixture: at most one pixel of each row.
      expect(differing.length, `${width}x${height} to ${size}`).toBeLessThanOrEqual(size);
    }
  });

  test("of a whole multiple of the size keep each class", () => {
    const labels = Int32Array.of(1, 2, 3, 4);
    expect([...coveringNearest(labels, { height: 2, width: 2 }, 4, 4)]).toEqual([
      1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4,
    ]);
    expect([...coveringNearest(labels, { height: 2, width: 2 }, 2, 2)]).toEqual([1, 2, 3, 4]);
  });
});
