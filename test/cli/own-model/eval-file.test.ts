/** `subbyte eval FILE.onnx`, and a training that says what the file reaches before and after. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { makeModel } from "../../../src/models/index.ts";
import { capture } from "../../support/machine/capture.ts";
import { temporaryFolder } from "../../support/training/tiny-run.ts";

const threads = ["--threads", "1"];
const small = ["--set", "data.trainLimit=64", "--set", "data.testLimit=60"];

async function modelFile(): Promise<{ readonly folder: string; readonly file: string }> {
  const folder = await temporaryFolder();
  const network = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10, width: 4 }, randomStream(5, "weights"));
  const file = join(folder, "mine.onnx");
  await writeFile(file, exportOnnx(network));
  return { folder, file };
}

describe("eval of a model's file", () => {
  it("gives the number that a training of it starts from", async () => {
    const { folder, file } = await modelFile();
    const data = ["--data", "fashion-mnist-part", "--set", "data.testLimit=60"];
    const measured = await capture("eval", file, ...data, ...threads, "--json");
    expect(measured.stderr).toBe("");
    const { accuracy, loss, data: used, normalization } = JSON.parse(measured.stdout);
    expect(used.count).toBe(60);
    expect(normalization.mean).toHaveLength(1);
    const recipe = ["--epochs", "1", "--batch", "32", "--no-diagnose", "--out", folder, "--name", "float"];
    const trained = await capture("train", "--model", file, ...small, ...recipe, ...threads);
    expect(trained.code).toBe(0);
    const percent = `${(100 * accuracy).toFixed(2)} %`;
    expect(trained.stderr).toContain(`mine.onnx: accuracy ${percent} on the 60 test images, before the training`);
    expect(trained.stderr).toMatch(/compiling the training step …/);
    expect(trained.stdout).toMatch(new RegExp(`float mine.onnx ${percent} → [0-9.]+ % \\([+-][0-9.]+ points\\)`));
    expect(trained.stderr).toContain(`next: subbyte train --from ${join(folder, "float")}`);
    // The defaults of weights that come from a file are in the run's folder.
    const config = await readFile(join(folder, "float", "config.yaml"), "utf8");
    expect(config).toMatch(/restoreBatchNorm: true/);
    expect(config).toMatch(/warmupEpochs: 1/);
    expect(Number.isFinite(loss)).toBe(true);
  });

  it("says the normalization and how to change it, and takes another", async () => {
    const { file } = await modelFile();
    const data = ["--data", "fashion-mnist-part", "--limit", "20"];
    const told = await capture("eval", file, ...data, ...threads);
    expect(told.stdout).toMatch(/normalization\W+mean 0\.286\d*, std 0\.353/);
    expect(told.stderr).toContain("--set data.normalization=imagenet");
    const other = await capture("eval", file, ...data, ...threads, "--set", "data.normalization=none");
    expect(other.stdout).toMatch(/normalization\W+none/);
    expect(other.stderr).toBe("");
  });

  it("needs data, and has no integers", async () => {
    const { file } = await modelFile();
    const without = await capture("eval", file);
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining("--data FOLDER")]);
    const integer = await capture("eval", file, "--data", "fashion-mnist-part", "--integer");
    expect([integer.code, integer.stderr]).toEqual([2, expect.stringContaining("subbyte train first")]);
  });

  it("refuses a file that does not fit the classes, as train does", async () => {
    const folder = await temporaryFolder();
    const network = makeModel(
      "resnet8",
      { sampleShape: [1, 28, 28], classes: 4, width: 4 },
      randomStream(5, "weights"),
    );
    const file = join(folder, "four.onnx");
    await writeFile(file, exportOnnx(network));
    const { code, stderr } = await capture("eval", file, "--data", "fashion-mnist-part");
    expect([code, stderr]).toEqual([2, expect.stringContaining("the model has 4 outputs, the data 10 classes")]);
  });
});
