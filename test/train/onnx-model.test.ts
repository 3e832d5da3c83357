import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { makeModel } from "../../src/models/index.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { evaluate } from "../../src/train/loop/evaluate.ts";
import { startRun } from "../../src/train/run.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

async function modelFile(sampleShape: readonly number[]): Promise<string> {
  const folder = await temporaryFolder();
  const network = makeModel("resnet8", { sampleShape, classes: 10, width: 4 }, randomStream(5, "weights"));
  const file = join(folder, "mine.onnx");
  await writeFile(file, exportOnnx(network));
  return file;
}

describe("a model of the user's own", () => {
  it("is trained with few bits, and read back from its run", async () => {
    const file = await modelFile([1, 28, 28]);
    const parent = await temporaryFolder();
    const config = tinyConfig({
      model: { file },
      train: { epochs: 2, batchSize: 32, optimizer: { learningRate: 0.02 }, distillation: { weight: 0.3 } },
      quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
    });
    const { summary, paths } = await startRun({ config, parent, name: "mine" });
    expect(summary.model).toBe("mine");
    const loaded = await loadRun(paths.folder);
    const again = await evaluate(loaded.network, loaded.data.test, nodeEngine({ threads: 1 }));
    expect(again.accuracy).toBe(summary.accuracy);
  });

  it("is no checkpoint, and called what it is", async () => {
    const file = await modelFile([1, 28, 28]);
    const expected = expect.objectContaining({ message: expect.stringMatching(/it is an ONNX model/), exitCode: 2 });
    await expect(loadRun(file)).rejects.toThrow(expected);
    const config = tinyConfig({ from: file });
    await expect(startRun({ config, parent: await temporaryFolder() })).rejects.toThrow(expected);
  });

  it("is refused where the data does not fit it, with both shapes", async () => {
    const file = await modelFile([3, 32, 32]);
    const parent = await temporaryFolder();
    await expect(startRun({ config: tinyConfig({ model: { file } }), parent })).rejects.toThrow(/3,32,32.*1,28,28/);
  });
});
