/** A run that a training starts from, or that teaches it, and that means something else than the training takes it for. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { trainOverrides } from "../../../src/cli/train-overrides.ts";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { makeModel } from "../../../src/models/index.ts";
import { takenFromRun } from "../../../src/train/from-run.ts";
import { startRun } from "../../../src/train/run.ts";
import { put } from "../../data/files.ts";
import { tinyConfig } from "../../support/training/tiny-run.ts";

const folder = mkdtempSync(join(tmpdir(), "subbyte-origin-"));
afterAll(() => rmSync(folder, { recursive: true }));

const rows = (classes: readonly string[], scale = 1) =>
  Array.from(
    { length: 40 },
    (_, row) => `${((row * 3) % 7) * scale},${((row * 5) % 11) * scale},${classes[row % classes.length]}`,
  );
const table = (lines: readonly string[], header = "a,b,y") => `${header}\n${lines.join("\n")}\n`;

const base = { model: { name: "mlp", width: 4 }, train: { epochs: 1, batchSize: 8 } };
const onTable = (name: string, more: object = {}) => ({ ...base, data: { folder: join(folder, name) }, ...more });

/** Trains, and returns the notes before its first step and its folder. */
async function notesOf(settings: object, name = "next") {
  const notes: string[] = [];
  const onStart = (start: { readonly notes: readonly string[] }) => notes.push(...start.notes);
  const { paths } = await startRun({ config: tinyConfig(settings), parent: folder, name }, { onStart });
  return { notes, run: paths.folder };
}

let float = "";
let quantized = "";
beforeAll(async () => {
  await put(folder, {
    "own.csv": table(rows(["cat", "dog"])),
    "other.csv": table(rows(["left", "right"])),
    "scaled.csv": table(rows(["cat", "dog"], 100)),
    "columns.csv": table(rows(["cat", "dog"]), "b,a,y"),
  });
  float = (await notesOf(onTable("own.csv"), "float")).run;
  quantized = (await notesOf(onTable("own.csv", { from: float, quantization: { preset: "lsq" } }), "quantized")).run;
});

describe("a run that a training starts from", () => {
  it("needs no note on the same data", async () => {
    expect((await notesOf(onTable("own.csv", { from: float }))).notes).toEqual([]);
  });

  it.each([
    ["classes of other names", "other.csv", {}, /outputs of .* are cat, dog, here they are left, right/],
    ["another order of the classes", "own.csv", { classes: ["dog", "cat"] }, /are cat, dog, here they are dog, cat/],
    ["another normalization", "scaled.csv", {}, /was trained with the normalization mean/],
    ["other columns", "columns.csv", {}, /the columns of .* are a, b, here they are b, a/],
  ])("is noted with %s", async (_, name, data, sentence) => {
    const { notes } = await notesOf({ ...base, data: { folder: join(folder, name), ...data }, from: float });
    expect(notes.join("\n")).toMatch(sentence);
  });

  it("is noted where its quantizers are left out", async () => {
    const { notes } = await notesOf(onTable("own.csv", { from: quantized }));
    expect(notes.join("\n")).toMatch(/was trained with lsq, this training is in float: its quantizers are left out/);
    const kept = await notesOf(onTable("own.csv", { from: quantized, quantization: { preset: "lsq", weightBits: 2 } }));
    expect(kept.notes).toEqual([]);
  });

  it("is refused where a part of its weights would be left out", async () => {
    const images = { data: { trainLimit: 32, testLimit: 16 }, train: { epochs: 1, batchSize: 16 } };
    const deep = await notesOf({ ...images, model: { name: "resnet20", width: 4 } }, "deep");
    await expect(notesOf({ ...images, model: { name: "resnet8", width: 4 }, from: deep.run })).rejects.toThrow(
      /the checkpoint has .* more, which the network lacks/,
    );
  });

  it("gives other data its own measured normalization", async () => {
    const flags = trainOverrides({ from: float, data: join(folder, "scaled.csv") });
    const taken = await takenFromRun(undefined, flags);
    const { data } = resolveTrainingConfig(undefined, [...taken.overrides, ...flags]);
    expect(data.normalization).toMatchObject({ mean: [expect.any(Number), expect.any(Number)] });
    expect(taken.sentence).toMatch(/normalization by the run's mean and std/);
    const { notes } = await notesOf({ ...base, data, from: float });
    expect(notes).toEqual([]);
  });
});

describe("a run that teaches", () => {
  const taught = (data: object) => ({
    ...base,
    data: { folder: join(folder, "own.csv"), ...data },
    train: { ...base.train, distillation: { teacher: float } },
  });

  it("is refused with its classes in another order, and taken in its own", async () => {
    await expect(notesOf(taught({ classes: ["dog", "cat"] }))).rejects.toThrow(
      /teacher's outputs are cat, dog, the labels dog, cat: the same classes in another order/,
    );
    expect((await notesOf(taught({}))).notes).toEqual([]);
  });

  it("is noted with classes of other names and with another normalization", async () => {
    const named = await notesOf(taught({ folder: join(folder, "other.csv") }));
    expect(named.notes.join("\n")).toMatch(/outputs of .* are cat, dog, here they are left, right/);
    const scaled = await notesOf(taught({ folder: join(folder, "scaled.csv") }));
    expect(scaled.notes.join("\n")).toMatch(/was trained with the normalization/);
  });
});

describe("a run of a model's file with BatchNorm put back", () => {
  it("is refused as the start of one without it", async () => {
    const file = join(folder, "folded.onnx");
    const network = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(3, "weights"));
    writeFileSync(file, exportOnnx(network));
    const settings = { data: { trainLimit: 32, testLimit: 16 }, train: { epochs: 1, batchSize: 16 } };
    const { run } = await notesOf({ ...settings, model: { file, restoreBatchNorm: true } }, "restored");
    const bare = { ...settings, model: { file, restoreBatchNorm: false }, from: run };
    await expect(notesOf(bare)).rejects.toThrow(/which the network lacks/);
  });
});
