/** Data, labels and files that change after a run was trained on them: a resumed run refuses them, a loaded one notes them. */
import { cp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import type { TrainingConfig } from "../../../src/config/schema/schema.ts";
import { ConfigError } from "../../../src/errors.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { makeModel } from "../../../src/models/index.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/runs/checkpoint.ts";
import { loadRun } from "../../../src/train/load-run.ts";
import { resumeRun, startRun } from "../../../src/train/run.ts";
import { put } from "../../data/files.ts";
import { temporaryFolder, tinyConfig } from "../../support/training/tiny-run.ts";

const rows = (count: number) =>
  Array.from({ length: count }, (_, row) => `${(row * 3) % 7},${(row * 5) % 11},class${row % 3}`);
const table = (lines: readonly string[], header = "a,b,y") => `${header}\n${lines.join("\n")}\n`;

async function trained(change: (folder: string) => object = () => ({})) {
  const folder = await temporaryFolder();
  await put(folder, { "data/train.csv": table(rows(40)), "data/test.csv": table(rows(20)) });
  const config: TrainingConfig = tinyConfig({
    model: { name: "mlp", width: 4 },
    data: { folder: join(folder, "data") },
    train: { epochs: 1, batchSize: 8 },
    ...change(folder),
  });
  const { paths } = await startRun({ config, parent: folder, name: "run" });
  return { folder, paths };
}

const changes: readonly (readonly [string, (folder: string) => Promise<unknown>, RegExp])[] = [
  [
    "a sample is deleted",
    (folder) => put(folder, { "data/train.csv": table(rows(39)) }),
    /the training part had 40 samples and has 39/,
  ],
  [
    "test samples are added",
    (folder) => put(folder, { "data/test.csv": table(rows(22)) }),
    /the test part had 20 samples and has 22/,
  ],
  [
    "one label changes",
    async (folder) => {
      const lines = rows(40);
      lines[7] = `${lines[7]?.slice(0, -1)}${lines[7]?.endsWith("0") ? 1 : 0}`;
      await put(folder, { "data/train.csv": table(lines) });
    },
    /the training part has as many samples as before, but their values, labels or names changed/,
  ],
  [
    "one value of a test sample changes",
    (folder) => put(folder, { "data/test.csv": table(["0.5,0,class0", ...rows(20).slice(1)]) }),
    /the test part has as many samples as before/,
  ],
  [
    "the classes get other names",
    async (folder) => {
      for (const name of ["train", "test"]) {
        const text = await readFile(join(folder, "data", `${name}.csv`), "utf8");
        await put(folder, { [`data/${name}.csv`]: text.replaceAll("class0", "zebra") });
      }
    },
    /the classes were class0, class1, class2 and are class1, class2, zebra/,
  ],
  [
    "the columns change places",
    async (folder) => {
      for (const [name, count] of [
        ["train", 40],
        ["test", 20],
      ] as const) {
        await put(folder, { [`data/${name}.csv`]: table(rows(count), "b,a,y") });
      }
    },
    /the columns were a, b and are b, a/,
  ],
];

describe("data that changed after a training", () => {
  it.each(changes)("is noticed where %s", async (_, change, sentence) => {
    const { folder, paths } = await trained();
    expect((await loadRun(paths.folder)).notes).toEqual([]);
    await change(folder);
    const { notes } = await loadRun(paths.folder);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(sentence);
    await expect(resumeRun(paths.folder)).rejects.toThrow(sentence);
    await expect(resumeRun(paths.folder)).rejects.toBeInstanceOf(ConfigError);
  });

  it("is noticed where the model's file changes", async () => {
    const shape = { sampleShape: [2], classes: 3 };
    const file = (seed: number) => exportOnnx(makeModel("mlp", { ...shape, width: 4 }, randomStream(seed, "weights")));
    const { folder, paths } = await (async () => {
      const folder = await temporaryFolder();
      await put(folder, { "data/train.csv": table(rows(40)), "data/test.csv": table(rows(20)) });
      await writeFile(join(folder, "mine.onnx"), file(1));
      const config = tinyConfig({
        model: { file: join(folder, "mine.onnx") },
        data: { folder: join(folder, "data"), crop: 0, flip: false },
        train: { epochs: 1, batchSize: 8 },
      });
      return { folder, paths: (await startRun({ config, parent: folder, name: "run" })).paths };
    })();
    await writeFile(join(folder, "mine.onnx"), file(2));
    expect((await loadRun(paths.folder)).notes[0]).toMatch(/the content of model.file changed/);
    await expect(resumeRun(paths.folder)).rejects.toThrow(/the content of model.file changed/);
  });

  it("is refused by its path where the folder was moved, and taken again when it is back", async () => {
    const { folder, paths } = await trained();
    await rename(join(folder, "data"), join(folder, "moved"));
    await expect(resumeRun(paths.folder)).rejects.toThrow(/data/);
    await cp(join(folder, "moved"), join(folder, "data"), { recursive: true });
    await rm(join(folder, "moved"), { recursive: true });
    await expect(resumeRun(paths.folder)).resolves.toBeDefined();
  });

  it("is not known of a checkpoint of an earlier version", async () => {
    const { folder, paths } = await trained();
    const last = join(paths.checkpoints, "last.safetensors");
    const { inputs: _inputs, ...former } = await readCheckpoint(last);
    await writeCheckpoint(last, former);
    await put(folder, { "data/train.csv": table(rows(39)) });
    expect((await loadRun(paths.folder)).notes).toEqual([]);
  });

  it("is noted, and no more, where only the versions differ", async () => {
    const { paths } = await trained();
    const last = join(paths.checkpoints, "last.safetensors");
    const { inputs, ...rest } = await readCheckpoint(last);
    if (inputs === undefined) throw new Error("the checkpoint has no record of its data");
    const versions = { ...inputs.versions, "ONNX Runtime": "1.0.0" };
    await writeCheckpoint(last, { ...rest, inputs: { ...inputs, versions } });
    const notes: string[] = [];
    await resumeRun(paths.folder, { onStart: (start) => notes.push(...start.notes) });
    expect(notes.join()).toMatch(/trained with ONNX Runtime 1\.0\.0/);
  });
});
