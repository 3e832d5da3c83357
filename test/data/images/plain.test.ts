/** Bitmaps and netpbm's images as folders of data; single files against Pillow: test/data/odd/images.test.ts. */
import { mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { openPlainImage } from "../../../src/data/images/plain/open.ts";
import { put } from "../files.ts";
import { bitmap, netpbm } from "../plain-files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

const two = (file: Uint8Array, ending: string) => ({ [`a/1.${ending}`]: file, [`b/1.${ending}`]: file });

async function firstSample(files: Readonly<Record<string, Uint8Array>>, options: object = {}) {
  const folder = await put(await temporaryFolder(), files);
  const opened = await openDataset(folder, { validationSplit: 0, normalization: "none", ...options });
  const batch = allocateBatch(opened.train, 1);
  await opened.train.prefetch?.(Int32Array.of(0));
  opened.train.readBatch(Int32Array.of(0), batch);
  return { opened, values: Array.from(batch.samples), shape: opened.train.sampleShape };
}

/** A file of a stated size with a head and nothing but zeros after it, which takes no place on the disk. */
async function sparse(head: Uint8Array, size: number, name: string): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, head);
  const handle = await open(path, "r+");
  await handle.truncate(size);
  await handle.close();
  return path;
}

describe("a folder of", () => {
  it("PPM images has three channels", async () => {
    const { values, shape } = await firstSample(two(netpbm("P6", [2, 1, 255], Uint8Array.of(1, 2, 3, 4, 5, 6)), "ppm"));
    expect(shape).toEqual([3, 1, 2]);
    expect(values).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it("PGM images has one", async () => {
    const { values, shape } = await firstSample(two(netpbm("P5", [2, 1, 255], Uint8Array.of(7, 9)), "pgm"));
    expect(shape).toEqual([1, 1, 2]);
    expect(values).toEqual([7, 9]);
  });

  it.each([
    ["clip", [255, 9]],
    ["scale", [1, 0]],
  ])("PGM images of 16 bits: %s", async (sixteenBit, expected) => {
    const image = netpbm("P5", [2, 1, 65_535], Uint8Array.of(1, 0, 0, 9));
    const { opened, values } = await firstSample(two(image, "pgm"), { sixteenBit });
    expect(values).toEqual(expected);
    expect(opened.notes.join()).toContain("2 images are grey with 16 bits");
  });

  it("bitmaps, damaged ones skipped with a note", async () => {
    const good = bitmap({ width: 3, height: 2, bits: 24 });
    const { opened } = await firstSample({ ...two(good, "bmp"), "a/2.bmp": good.subarray(0, 60) });
    expect(opened.train.count).toBe(2);
    expect(opened.notes.join()).toMatch(/1 could not be read.*2\.bmp: the file is truncated/);
  });
});

describe("what a header states is checked before anything is read:", () => {
  const sizes = [0, -1, 2 ** 31 - 1, 178_956_971];
  it.each(sizes)("a size of %d", async (size) => {
    const path = await sparse(bitmap({ width: size, height: 1, bits: 24, body: new Uint8Array(8) }), 2 ** 33, "1.bmp");
    expect((await errorOf(() => openPlainImage(path))).message).toMatch(/its size is/);
    const other = await sparse(netpbm("P6", [size, 1, 255], ""), 2 ** 33, "1.ppm");
    expect((await errorOf(() => openPlainImage(other))).message).toMatch(/its (size|width) is/);
  });

  it("a file of 8 GB of runs takes the memory of its pixels", async () => {
    const head = bitmap({ width: 2, height: 2, bits: 8, compression: 1, body: Uint8Array.of(2, 1, 0, 0, 2, 1) });
    const image = await openPlainImage(await sparse(head, 2 ** 33, "1.bmp"));
    expect((await image?.pixels("clip"))?.data).toHaveLength(12);
  });
});
