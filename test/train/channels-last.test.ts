/** Models whose images have their channels last, as Keras writes them, compared with the same models with channels first. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importOnnxFile } from "../../src/importer/node-files.ts";
import { readMetrics } from "../../src/runs/metrics-log.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { evaluate } from "../../src/train/loop/evaluate.ts";
import { startRun } from "../../src/train/run.ts";
import { loadData } from "../../src/train/setup.ts";
import { floats as arrayOfFloats, cifar, image, labels, put } from "../data/files.ts";
import { capture } from "../support/machine/capture.ts";
import { floats, ints, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

const engine = nodeEngine({ threads: 1 });
const side = 16;

/** From images with their channels first to scores; `flatten` keeps all pixels, in the order of channels last. */
const pooling: readonly NodeText[] = [
  ["GlobalAveragePool", ["r2"], ["pooled"]],
  ["Flatten", ["pooled"], ["flat"]],
  ["Gemm", ["flat", "fc.weight", "fc.bias"], ["y"]],
];
const flatten: readonly NodeText[] = [
  ["MaxPool", ["r2"], ["pooled"], { kernel_shape: [4, 2], strides: [4, 2] }],
  ["Transpose", ["pooled"], ["last"], { perm: [0, 2, 3, 1] }],
  ["Reshape", ["last", "row"], ["flat"]],
  ["MatMul", ["flat", "dense"], ["product"]],
  ["Add", ["product", "fc.bias"], ["y"]],
];

interface Kind {
  readonly tail?: readonly NodeText[];
  readonly channels?: number;
  /** What stands before the first convolution. */
  readonly head: readonly NodeText[];
  readonly size?: readonly (number | string)[];
}

const first = { head: [["Identity", ["x"], ["turned"]]] } satisfies Kind;
const last = { head: [["Transpose", ["x"], ["turned"], { perm: [0, 3, 1, 2] }]] } satisfies Kind;
const scaling: readonly NodeText[] = [
  ["Mul", ["x", "factor"], ["product"]],
  ["Add", ["product", "shift"], ["scaled"]],
];
/** The images are scaled before they are turned: the Transpose at the input stays. */
const scaledFirst: Kind = { head: [...scaling, ["Identity", ["scaled"], ["turned"]]] };
const scaledLast: Kind = { head: [...scaling, ["Transpose", ["scaled"], ["turned"], { perm: [0, 3, 1, 2] }]] };
/** A single channel is moved by a Reshape. */
const greyFirst: Kind = { ...first, channels: 1 };
const greyLast: Kind = { channels: 1, head: [["Reshape", ["x", "grey"], ["turned"]]] };

/** Two convolutions, the second after a BatchNormalization, and a layer of four classes. */
async function modelFile(
  { channels = 3, head, tail = pooling, size = [side, side] }: Kind,
  layout: "first" | "last",
): Promise<string> {
  const file = join(await temporaryFolder(), `channels-${layout}.onnx`);
  const each = layout === "first" ? [channels, ...size] : [...size, channels];
  const bytes = onnxModel({
    inputs: { x: ["N", ...each] },
    outputs: ["y"],
    nodes: [
      ...head,
      ["Conv", ["turned", "conv1.weight"], ["c1"], { pads: [1, 1, 1, 1], strides: [2, 2] }],
      ["BatchNormalization", ["c1", "gamma", "beta", "mean", "variance"], ["n1"]],
      ["Relu", ["n1"], ["r1"]],
      ["Conv", ["r1", "conv2.weight"], ["c2"], { pads: [1, 1, 1, 1] }],
      ["Relu", ["c2"], ["r2"]],
      ...tail,
    ],
    initializers: {
      "conv1.weight": ramp(8, channels, 3, 3),
      gamma: floats([8], new Array<number>(8).fill(1)),
      beta: ramp(8),
      mean: floats([8], new Array<number>(8).fill(0)),
      variance: floats([8], new Array<number>(8).fill(1)),
      "conv2.weight": ramp(8, 8, 3, 3),
      "fc.weight": ramp(8, 4),
      "fc.bias": ramp(4),
      dense: ramp(64, 4),
      row: ints(-1, 64),
      factor: floats([], [0.5]),
      shift: floats([], [0.25]),
      grey: ints(-1, 1, side, side),
    },
  });
  await writeFile(file, bytes);
  return file;
}

/** Four classes of twelve images of 20x20 with colours that depend on the class. */
async function imageFolder(): Promise<string> {
  const files: Record<string, Uint8Array> = {};
  for (let kind = 0; kind < 4; kind++) {
    for (let i = 0; i < 12; i++) {
      files[`kind${kind}/${i}.png`] = await image(20, 20, [40 + 50 * kind + i, 200 - 40 * kind - 2 * i, 7 * i]);
    }
  }
  return put(await temporaryFolder(), files);
}

interface Choice {
  readonly data?: object;
  readonly train?: object;
  readonly quantization?: object | null;
}

const lsq = { preset: "lsq", weightBits: 4, activationBits: 4 };

async function trained(file: string, folder: string, choice: Choice = {}) {
  const config = tinyConfig({
    model: { file },
    data: { folder, crop: 2, flip: true, ...choice.data },
    train: { epochs: 2, batchSize: 8, optimizer: { learningRate: 0.01 }, ...choice.train },
    quantization: choice.quantization === undefined ? lsq : choice.quantization,
  });
  const { summary, paths } = await startRun({ config, parent: await temporaryFolder(), name: "run" });
  const losses = (await readMetrics(paths.metrics)).flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
  return { summary, losses, folder: paths.folder };
}

describe("a model with its channels last", () => {
  it.each([
    ["whose first node turns the images", first, last],
    ["that scales them before they are turned", scaledFirst, scaledLast],
    ["of grey images, by a Reshape", greyFirst, greyLast],
  ] as const)("%s, is trained as the same one with them first", async (_, ours, theirs) => {
    const folder = await imageFolder();
    const expected = await trained(await modelFile(ours, "first"), folder);
    const found = await trained(await modelFile(theirs, "last"), folder);
    expect(new Set(expected.losses).size).toBeGreaterThan(8);
    expect(expected.losses.every((loss) => Number.isFinite(loss))).toBe(true);
    expect(found.losses).toEqual(expected.losses);
    expect(found.summary).toMatchObject({ accuracy: expected.summary.accuracy, loss: expected.summary.loss });
    const { network, data } = await loadRun(found.folder);
    expect((await evaluate(network, data.test, engine)).accuracy).toBe(found.summary.accuracy);
  });

  it("gets images of the size that it states, with a note, and takes others where it leaves the size open", async () => {
    const folder = await imageFolder();
    const stated = tinyConfig({ model: { file: await modelFile(last, "last") }, data: { folder } });
    const { train, notes } = await loadData(stated);
    expect(train.sampleShape).toEqual([3, side, side]);
    expect(notes.filter((note) => /channels-last\.onnx takes channels last/.test(note))).toHaveLength(1);
    const open = await modelFile({ ...last, size: ["H", "W"] }, "last");
    const data = { size: 12 };
    const { summary } = await trained(open, folder, { data });
    expect(summary.steps).toBe(10);
    const other = await loadData(tinyConfig({ model: { file: await modelFile(first, "first") }, data: { folder } }));
    expect(other.notes.filter((note) => /channels last/.test(note))).toEqual([]);
  });

  it("is named with the size that would fit", async () => {
    const file = await modelFile(last, "last");
    const run = trained(file, await imageFolder(), { data: { size: [10, 12] } });
    await expect(run).rejects.toMatchObject({
      message: "the model takes [N,16,16,3], the data gives [N,3,10,12]",
      remedy: expect.stringMatching(/data\.size=16 --set data\.channels=3/),
    });
  });

  it("takes CIFAR's binary files and arrays of either layout", async () => {
    const files = { "train.bin": cifar(40, 2, (i) => i % 4), "test.bin": cifar(16, 2, (i) => i % 4) };
    const folder = await put(await temporaryFolder(), files);
    const open = { ...last, size: ["H", "W"] };
    const { train } = await loadData(tinyConfig({ model: { file: await modelFile(open, "last") }, data: { folder } }));
    expect(train.sampleShape).toEqual([3, 32, 32]);
    const losses: unknown[] = [];
    for (const layout of ["first", "last"]) {
      const at = (i: number) => {
        const [sample, rest] = [Math.floor(i / 768), i % 768];
        const [c, place] = layout === "first" ? [Math.floor(rest / 256), rest % 256] : [rest % 3, Math.floor(rest / 3)];
        return ((sample * 7 + c * 5 + place * 3) % 11) / 11;
      };
      const shape = layout === "first" ? [40, 3, side, side] : [40, side, side, 3];
      const arrays = { "x.npy": arrayOfFloats(shape, at), "y.npy": labels(40, (i) => i % 4) };
      losses.push((await trained(await modelFile(last, "last"), await put(await temporaryFolder(), arrays))).losses);
    }
    expect(losses[1]).toEqual(losses[0]);
  });

  it("learns without labels from its own float self, and from a teacher with channels first", async () => {
    const folder = await imageFolder();
    const data = { task: "none" };
    const [ours, theirs] = [await modelFile(first, "first"), await modelFile(last, "last")];
    const expected = await trained(ours, folder, { data });
    expect(expected.summary.metric).toBe("agreement");
    expect((await trained(theirs, folder, { data })).losses).toEqual(expected.losses);
    for (const [student, teacher] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      const found = await trained(student, folder, { data, train: { distillation: { teacher } } });
      expect(found.losses).toEqual(expected.losses);
      const { network, data: loaded, teacher: reference } = await loadRun(found.folder);
      const again = await evaluate(network, loaded.test, engine, reference === undefined ? {} : { teacher: reference });
      expect(again.accuracy).toBe(found.summary.accuracy);
    }
  });
});

describe("a run of a model with its channels last", () => {
  it.each([
    ["after a pooling", pooling],
    ["after a Flatten of channels last", flatten],
  ])(
    "is converted to integers without a code that differs %s, and says that they take channels first",
    async (_, tail) => {
      const { folder, summary } = await trained(await modelFile({ ...last, tail }, "last"), await imageFolder());
      const { code, stdout, stderr } = await capture(
        "convert",
        folder,
        "--format",
        "int",
        "--no-residual-bits",
        "--verify",
        "--json",
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const { verification, notes } = JSON.parse(stdout);
      expect(verification.agrees).toBe(true);
      expect(verification.programs.every(({ compared }: { compared: number }) => compared > 0)).toBe(true);
      const integers = await capture("eval", folder, "--integer", "--no-residual-bits", "--json");
      const measured = JSON.parse(integers.stdout);
      expect(measured.accuracy).toBe(summary.accuracy);
      expect(measured.loss).toBeCloseTo(summary.loss, 3);
      const said = notes.filter(({ message }: { message: string }) =>
        /input is \[N,3,16,16\], channels first/.test(message),
      );
      expect(said).toHaveLength(1);
    },
  );

  it("is written back as a float model that takes what the user's own takes", async () => {
    const file = await modelFile(last, "last");
    const { folder } = await trained(file, await imageFolder(), { quantization: null });
    const written = await capture("convert", folder, "--format", "float");
    expect({ code: written.code, stderr: written.stderr }).toEqual({ code: 0, stderr: "" });
    const path = join(folder, "convert", "model.float.onnx");
    expect(importOnnxFile(path).graph.inputs[0]?.type.shape).toEqual([1, side, side, 3]);
    const nodes = importOnnxFile(path).graph.nodes.map(({ op }) => op);
    expect(nodes.filter((op) => op === "Transpose")).toHaveLength(1);
    const { code, stdout, stderr } = await capture("compare", folder, path, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout).agreement).toBe(1);
    expect(JSON.parse(stdout).output.largest).toBeLessThan(1e-5);
    expect((await readFile(path)).equals(await readFile(file))).toBe(false);
  });

  it("is explained as the same one with them first", async () => {
    const folder = await imageFolder();
    const [ours, theirs] = [await modelFile(first, "first"), await modelFile(last, "last")];
    const explained = async (file: string) => {
      const { code, stdout, stderr } = await capture("explain", "lsq", file, "--data", folder, "--json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const { tensors }: { tensors: unknown } = JSON.parse(stdout);
      return tensors;
    };
    const found = await explained(theirs);
    expect(found).toEqual(await explained(ours));
    expect(found).toHaveProperty("length");
  });

  it("is compared with the file that it began with, and two such files with each other", async () => {
    const images = await imageFolder();
    const [ours, theirs] = [await modelFile(first, "first"), await modelFile(last, "last")];
    const { code, stdout, stderr } = await capture("compare", ours, theirs, "--data", images, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ agreement: 1, output: { sqnr: null } });
    const both = await capture("compare", theirs, theirs, "--data", images, "--json");
    expect(JSON.parse(both.stdout)).toMatchObject({ agreement: 1, output: { sqnr: null } });
  });
});
