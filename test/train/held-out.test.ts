/** One folder of images: the test samples are listed, and a note says that the model of a file may know them. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { makeModel } from "../../src/models/index.ts";
import { startRun } from "../../src/train/run.ts";
import { loadData } from "../../src/train/setup.ts";
import { bytes, image, labels, npz, put } from "../data/files.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

async function data(parts: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  const files: Record<string, Uint8Array> = {};
  for (const part of parts) {
    for (const name of ["cat", "dog"]) {
      for (let i = 0; i < 10; i++) files[join(part, name, `${i}.png`)] = await image(12, 12, 20 * i);
    }
  }
  await put(folder, files);
  return folder;
}

async function model(): Promise<string> {
  const network = makeModel("resnet8", { sampleShape: [3, 12, 12], classes: 2, width: 4 }, randomStream(1, "weights"));
  const file = join(await temporaryFolder(), "mine.onnx");
  await writeFile(file, exportOnnx(network));
  return file;
}

const train = { epochs: 1, batchSize: 4 };

describe("a model's file on images", () => {
  it("of one folder: the note, and the names of the test samples in the run's folder", async () => {
    const config = tinyConfig({ model: { file: await model() }, data: { folder: await data([""]) }, train });
    const opened = await loadData(config);
    expect(opened.notes.filter((text) => text.includes("may have been trained on these test samples"))).toHaveLength(1);
    const { paths } = await startRun({ config, data: opened, parent: await temporaryFolder(), name: "run" });
    const names = (await readFile(paths.testSamples, "utf8")).trim().split("\n");
    expect(names).toHaveLength(opened.test.count);
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/(cat|dog)[/\\]\d\.png$/);
  });

  it("of one file of arrays: the numbers of the test samples", async () => {
    const arrays = { x: bytes([20, 3, 12, 12], (i) => i % 256), y: labels(20, (i) => i % 2) };
    const folder = join(await put(await temporaryFolder(), { "d.npz": npz(arrays) }), "d.npz");
    const config = tinyConfig({ model: { file: await model() }, data: { folder }, train });
    const opened = await loadData(config);
    expect(opened.notes.join()).toContain("may have been trained on these test samples");
    const { paths } = await startRun({ config, data: opened, parent: await temporaryFolder(), name: "run" });
    const names = (await readFile(paths.testSamples, "utf8")).trim().split("\n");
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/d\.npz, sample \d+$/);
  });

  it("of a train and a test folder: neither", async () => {
    const folder = await data(["train", "test"]);
    const config = tinyConfig({ model: { file: await model() }, data: { folder }, train });
    const opened = await loadData(config);
    expect(opened.notes.join()).not.toContain("may have been trained");
    const { paths } = await startRun({ config, data: opened, parent: await temporaryFolder(), name: "run" });
    expect(await readdir(paths.folder)).not.toContain("test-samples.txt");
  });
});
