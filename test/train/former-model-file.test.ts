/** Runs of model files from the time before model.restoreBatchNorm: their networks are the files', without BatchNormalization. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { makeModel } from "../../src/models/index.ts";
import { isOperator } from "../../src/ops/definition.ts";
import { batchNormalizationOperator } from "../../src/ops/families/normalization.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/runs/checkpoint.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { takenFromRun } from "../../src/train/from-run.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { evaluate } from "../../src/train/loop/evaluate.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { temporaryFolder, tensorBytes, tinyConfig } from "../support/training/tiny-run.ts";

const withoutKey = (text: string) => text.replace(/^ *restoreBatchNorm: false\n/m, "");

/** A finished run whose files lack the key. */
async function formerRun() {
  const parent = await temporaryFolder();
  const file = join(parent, "mine.onnx");
  const network = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(5, "weights"));
  await writeFile(file, exportOnnx(network));
  const config = tinyConfig({
    model: { file, restoreBatchNorm: false },
    train: { epochs: 1, batchSize: 64, optimizer: { learningRate: 0.02 } },
    quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
  });
  const { summary, paths } = await startRun({ config, parent, name: "former" });
  const last = join(paths.checkpoints, "last.safetensors");
  for (const name of ["last.safetensors", "best.safetensors"]) {
    const checkpoint = await readCheckpoint(join(paths.checkpoints, name));
    expect(checkpoint.config).toContain("restoreBatchNorm: false");
    await writeCheckpoint(join(paths.checkpoints, name), { ...checkpoint, config: withoutKey(checkpoint.config) });
  }
  await writeFile(paths.config, withoutKey(await readFile(paths.config, "utf8")));
  return { file, last, paths, summary };
}

describe("a run of a model's file without model.restoreBatchNorm", () => {
  it("is read, resumed and started from as it was trained", async () => {
    const { file, last, paths, summary } = await formerRun();
    for (const path of [paths.folder, last]) {
      const { network, data } = await loadRun(path);
      expect(network.graph.nodes.filter((node) => isOperator(batchNormalizationOperator, node))).toEqual([]);
      expect((await evaluate(network, data.test, nodeEngine({ threads: 1 }))).accuracy).toBe(summary.accuracy);
      const overrides = [{ path: "from", value: path, origin: "--from" }];
      const taken = await takenFromRun(undefined, overrides);
      const next = resolveTrainingConfig(undefined, [...taken.overrides, ...overrides]);
      expect(next.model).toEqual({ file, restoreBatchNorm: false });
    }
    const before = await tensorBytes(last);
    expect((await resumeRun(paths.folder)).accuracy).toBe(summary.accuracy);
    expect(await tensorBytes(last)).toEqual(before);
  });

  it("is refused with the key where a person's configuration asks for BatchNormalization", async () => {
    const { file, last } = await formerRun();
    const given = tinyConfig({ model: { file }, from: last });
    expect(given.model).toMatchObject({ restoreBatchNorm: true });
    await expect(startRun({ config: given, parent: await temporaryFolder() })).rejects.toMatchObject({
      where: last,
      remedy: expect.stringContaining("set model.restoreBatchNorm: false"),
    });
  });
});
