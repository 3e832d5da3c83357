import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TrainingConfig } from "../../src/config/schema/schema.ts";
import { SubbyteError } from "../../src/errors.ts";
import { startRun } from "../../src/train/run.ts";
import { loadData } from "../../src/train/setup.ts";
import { floats as arrayOfFloats, image, labels, put } from "../data/files.ts";
import { floats, ints, onnxModel, ramp } from "../support/onnx/model.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

type Nodes = Parameters<typeof onnxModel>[0]["nodes"];

interface Model {
  readonly nodes: Nodes;
  readonly outputs: readonly string[];
  readonly initializers?: Parameters<typeof onnxModel>[0]["initializers"];
}

/** One layer for tables of two features, and what comes after it. */
function scores(count: number, model: Model = { nodes: [], outputs: ["scores"] }): Promise<string> {
  const { nodes, outputs, initializers } = model;
  return modelFile(
    onnxModel({
      inputs: { x: ["N", 2] },
      outputs: [...outputs],
      nodes: [["Gemm", ["x", "weight", "bias"], ["scores"]], ...nodes],
      initializers: {
        weight: ramp(2, count),
        bias: floats([count], new Array<number>(count).fill(0)),
        ...initializers,
      },
    }),
  );
}

async function modelFile(bytes: Uint8Array): Promise<string> {
  const file = join(await temporaryFolder(), "mine.onnx");
  await writeFile(file, bytes);
  return file;
}

/** A table of 40 rows: two features and what is to be predicted. */
async function table(predicted: (row: number) => string): Promise<string> {
  const file = join(await temporaryFolder(), "mine.csv");
  const rows = Array.from({ length: 40 }, (_, row) => `${row % 7},${(row % 5) / 10},${predicted(row)}`);
  await writeFile(file, `a,b,y\n${rows.join("\n")}\n`);
  return file;
}

function configOf(model: string, folder: string, more: { data?: object; train?: object } = {}): TrainingConfig {
  return tinyConfig({
    model: { file: model },
    data: { folder, ...more.data },
    train: { epochs: 1, batchSize: 8, optimizer: { learningRate: 0.001 }, ...more.train },
  });
}

/** What a run is refused with; no folder is made for it. */
async function refusal(config: TrainingConfig): Promise<SubbyteError> {
  const parent = join(await temporaryFolder(), "runs");
  const error: unknown = await startRun({ config, parent, name: "run" }).catch((cause: unknown) => cause);
  await expect(access(join(parent, "run"))).rejects.toThrow(/ENOENT/);
  if (error instanceof SubbyteError) return error;
  throw error ?? new Error("the run was not refused");
}

const classes = (count: number) => table((row) => `class${row % count}`);
const values = () => table((row) => `${row / 3}`);

describe("a model and data that do not belong together", () => {
  it("are refused where the data has more classes than the model has outputs", async () => {
    const error = await refusal(configOf(await scores(3), await classes(4)));
    expect(error.message).toBe("the model has 3 outputs, the data 4 classes: class0, class1, class2, class3");
    expect(error.exitCode).toBe(2);
    expect(error.remedy).toMatch(/4 outputs/);
  });

  it("give a note where the model has more outputs than the data has classes", async () => {
    const notes: string[] = [];
    const run = { config: configOf(await scores(7), await classes(4)), parent: await temporaryFolder() };
    await startRun(run, { onStart: (start) => notes.push(...start.notes) });
    expect(notes).toEqual([expect.stringMatching(/^the model has 7 outputs, the data 4 classes: .*data\.classes/)]);
  });

  it("are refused where the values to predict are not as many as the outputs", async () => {
    const error = await refusal(configOf(await scores(2), await values()));
    expect(error.message).toBe("the model gives 2 values for each sample, the data has 1 to predict");
    expect(error.exitCode).toBe(2);
  });

  it("are refused where the teacher has other outputs, by the teacher's name", async () => {
    const teacher = await scores(5);
    const train = { distillation: { teacher } };
    for (const data of [{ task: "none", ignore: ["y"] }, {}]) {
      const error = await refusal(configOf(await scores(3), await classes(3), { data, train }));
      expect(error.message).toBe("the teacher gives [N,5], the model [N,3]");
      expect(error).toMatchObject({ where: teacher, exitCode: 2 });
    }
  });

  it("are refused with both shapes and what makes them fit", async () => {
    const numbers = await table((row) => `${row % 3}`);
    const error = await refusal(configOf(await scores(3), numbers, { data: { target: "a", ignore: ["b"] } }));
    expect(error.message).toBe("the model takes [N,2], the data gives [N,1]");
    expect(error.remedy).toMatch(/data\.ignore/);
  });
});

describe("a model that nothing can be trained with", () => {
  it("has one input, of float32", async () => {
    const two = onnxModel({
      inputs: { x: ["N", 2], z: ["N", 2] },
      outputs: ["y"],
      nodes: [
        ["Add", ["x", "z"], ["sum"]],
        ["MatMul", ["sum", "weight"], ["y"]],
      ],
      initializers: { weight: ramp(2, 3) },
    });
    const error = await refusal(configOf(await modelFile(two), await classes(3)));
    expect(error).toMatchObject({ message: "the model takes x[N,2] and z[N,2], samples are one input", exitCode: 3 });
    const whole = onnxModel({
      inputs: { x: ["N", 2] },
      inputType: "int64",
      outputs: ["y"],
      nodes: [
        ["Cast", ["x"], ["floats"], { to: 1 }],
        ["MatMul", ["floats", "weight"], ["y"]],
      ],
      initializers: { weight: ramp(2, 3) },
    });
    const other = await refusal(configOf(await modelFile(whole), await classes(3)));
    expect(other).toMatchObject({ message: expect.stringMatching(/input x holds int64/), exitCode: 3 });
  });

  it("has one output, of float32", async () => {
    const two = await scores(3, { nodes: [["Relu", ["scores"], ["y"]]], outputs: ["scores", "y"] });
    const error = await refusal(configOf(two, await classes(3)));
    expect(error).toMatchObject({ message: "the model has 2 outputs (scores, y), training needs one", exitCode: 3 });
    const best = await scores(3, { nodes: [["ArgMax", ["scores"], ["y"], { axis: 1 }]], outputs: ["y"] });
    const other = await refusal(configOf(best, await classes(3)));
    expect(other).toMatchObject({ message: "the output y holds int64, which has no gradient", exitCode: 3 });
  });

  it("scores classes with one row for each sample", async () => {
    const nodes: Nodes = [["Unsqueeze", ["scores", "axes"], ["y"]]];
    const file = await scores(3, { nodes, outputs: ["y"], initializers: { axes: ints(2) } });
    const error = await refusal(configOf(file, await classes(3)));
    expect(error).toMatchObject({ message: "the model gives [N,3,1], classes need [N,classes]", exitCode: 3 });
    expect(error.remedy).toMatch(/Flatten/);
  });

  it("holds for batches of any size", async () => {
    const fixed = onnxModel({
      inputs: { x: [4, 2] },
      outputs: ["y"],
      nodes: [
        ["MatMul", ["x", "weight"], ["scores"]],
        ["Add", ["scores", "rows"], ["y"]],
      ],
      initializers: { weight: ramp(2, 3), rows: ramp(4, 3) },
    });
    const error = await refusal(configOf(await modelFile(fixed), await classes(3), { train: { batchSize: 4 } }));
    expect(error.message).toBe("the model supports only batches of 4: its shapes contain the batch size");
    expect(error).toMatchObject({ exitCode: 3, remedy: expect.stringMatching(/dynamic_axes/) });
  });

  it("has parameters", async () => {
    const bare = onnxModel({ inputs: { x: ["N", 2] }, outputs: ["y"], nodes: [["Relu", ["x"], ["y"]]] });
    const error = await refusal(configOf(await modelFile(bare), await classes(2)));
    expect(error).toMatchObject({ message: "nothing in the model can be trained", exitCode: 3 });
  });

  it("has parameters that are numbers", async () => {
    const broken = onnxModel({
      inputs: { x: ["N", 2] },
      outputs: ["y"],
      nodes: [["MatMul", ["x", "weight"], ["y"]]],
      initializers: { weight: floats([2, 3], [1, 2, Number.NaN, 4, 5, 6]) },
    });
    const error = await refusal(configOf(await modelFile(broken), await classes(3)));
    expect(error.message).toMatch(/the parameter weight holds .*NaN/);
  });
});

describe("distillation", () => {
  it("ignores the labels of a table without being given their column", async () => {
    const config = configOf(await scores(3), await classes(3), { data: { task: "none" } });
    const { summary } = await startRun({ config, parent: await temporaryFolder() });
    expect(summary).toMatchObject({ metric: "agreement", accuracy: 1 });
  });
});

describe("arrays", () => {
  /** Rows of the input that are summed up, so that any rank is taken. */
  const summed = (each: readonly number[]) =>
    modelFile(
      onnxModel({
        inputs: { x: ["N", ...each] },
        outputs: ["y"],
        nodes: [
          ["Flatten", ["x"], ["flat"]],
          ["MatMul", ["flat", "weight"], ["y"]],
        ],
        initializers: {
          weight: ramp(
            each.reduce((a, b) => a * b),
            2,
          ),
        },
      }),
    );
  const arrays = async (each: readonly number[]) =>
    put(await temporaryFolder(), {
      "x.npy": arrayOfFloats([20, ...each], (i) => i % 13),
      "y.npy": labels(20, (i) => i % 2),
    });

  it("are sequences where the model says so", async () => {
    const folder = await arrays([5, 4]);
    const { train } = await loadData(tinyConfig({ model: { file: await summed([5, 4]) }, data: { folder } }));
    expect(train.sampleShape).toEqual([5, 4]);
  });

  it("of images enter a model that takes channels last, as they are or normalized by channels", async () => {
    const [file, folder] = [await summed([6, 5, 3]), await arrays([6, 5, 3])];
    for (const [layout, shape] of [
      ["auto", [3, 6, 5]],
      ["hwc", [3, 6, 5]],
      ["asIs", [6, 5, 3]],
    ] as const) {
      const config = configOf(file, folder, { data: { layout, normalization: "none" }, train: { batchSize: 4 } });
      expect((await loadData(config)).train.sampleShape).toEqual(shape);
      const { summary } = await startRun({ config, parent: await temporaryFolder() });
      expect(summary.steps).toBe(4);
    }
  });

  it("train the part behind an operator without gradient, with a note", async () => {
    const file = await modelFile(
      onnxModel({
        inputs: { x: ["N", 5, 4] },
        outputs: ["y"],
        nodes: [
          ["Transpose", ["x"], ["steps"], { perm: [1, 0, 2] }],
          ["LSTM", ["steps", "w", "r"], ["", "h"], { hidden_size: 2, clip: { float: 3 } }],
          ["Squeeze", ["h", "axes"], ["state"]],
          ["MatMul", ["state", "weight"], ["y"]],
        ],
        initializers: { w: ramp(1, 8, 4), r: ramp(1, 8, 2), axes: ints(0), weight: ramp(2, 2) },
      }),
    );
    const notes: string[] = [];
    const config = configOf(file, await arrays([5, 4]), { train: { batchSize: 4 } });
    const run = { config, parent: await temporaryFolder() };
    await startRun(run, { onStart: (start) => notes.push(...start.notes) });
    expect(notes).toEqual(["2 parameter tensors are not trained; inspect says why"]);
  });
});

describe("regression", () => {
  it("takes a model that gives a number without an axis of its own", async () => {
    const nodes: Nodes = [["Squeeze", ["scores", "axes"], ["y"]]];
    const flat = await scores(1, { nodes, outputs: ["y"], initializers: { axes: ints(1) } });
    const parent = await temporaryFolder();
    const train = { epochs: 3, optimizer: { learningRate: 0.01 } };
    const trained = async (model: string) => {
      const { summary } = await startRun({ config: configOf(model, await values(), { train }), parent });
      return [summary.metric, summary.accuracy, summary.loss];
    };
    expect(await trained(flat)).toEqual(await trained(await scores(1)));
  });
});

/** Two classes of five grey images of 20x20, of which a fifth is set apart. */
async function imageFolder(folder: string): Promise<string> {
  const files: Record<string, Uint8Array> = {};
  for (let i = 0; i < 5; i++) {
    files[`dark/${i}.png`] = await image(20, 20, 20 + i);
    files[`light/${i}.png`] = await image(20, 20, 200 + i);
  }
  return put(folder, files);
}

describe("images", () => {
  it("get the size and channels that the model's file states, and others where the configuration says so", async () => {
    const folder = await imageFolder(await temporaryFolder());
    const file = await modelFile(
      onnxModel({
        inputs: { x: ["N", 1, 12, 16] },
        outputs: ["y"],
        nodes: [
          ["Flatten", ["x"], ["flat"]],
          ["MatMul", ["flat", "weight"], ["y"]],
        ],
        initializers: { weight: ramp(192, 2) },
      }),
    );
    const { train, notes } = await loadData(tinyConfig({ model: { file }, data: { folder } }));
    expect(train.sampleShape).toEqual([1, 12, 16]);
    expect(notes.filter((note) => /12x16 that .*mine\.onnx takes/.test(note))).toHaveLength(1);
    expect(notes.filter((note) => /data\.normalization=imagenet/.test(note))).toHaveLength(1);
    const told = tinyConfig({ model: { file }, data: { folder, size: 8, channels: 3, normalization: "none" } });
    const other = await loadData(told);
    expect(other.train.sampleShape).toEqual([3, 8, 8]);
    expect(other.notes.filter((note) => /takes|normaliz/.test(note))).toEqual([]);
    const { summary } = await startRun({
      config: configOf(file, folder, { train: { batchSize: 4 } }),
      parent: await temporaryFolder(),
    });
    expect(summary.steps).toBe(2);
  });

  it("keep their own size where the file leaves it open, and take the teacher's", async () => {
    const folder = await imageFolder(await temporaryFolder());
    const pooled = (size: readonly (number | string)[]) =>
      onnxModel({
        inputs: { x: ["N", 3, ...size] },
        outputs: ["y"],
        nodes: [
          ["GlobalAveragePool", ["x"], ["pooled"]],
          ["Flatten", ["pooled"], ["flat"]],
          ["MatMul", ["flat", "weight"], ["y"]],
        ],
        initializers: { weight: ramp(3, 2) },
      });
    const open = await modelFile(pooled(["H", "W"]));
    const { train } = await loadData(tinyConfig({ model: { file: open }, data: { folder } }));
    expect(train.sampleShape).toEqual([3, 20, 20]);
    const teacher = await modelFile(pooled([10, 10]));
    const taught = tinyConfig({ data: { folder }, train: { distillation: { teacher } } });
    expect((await loadData(taught)).train.sampleShape).toEqual([3, 10, 10]);
  });

  it("are not looked at before the model is there", async () => {
    const missing = join(await temporaryFolder(), "none.onnx");
    const error = await refusal(configOf(missing, join(missing, "images")));
    expect(error.describe()).toBe(`${missing}: the model cannot be read\n  Check the path: there is no such file.`);
  });
});
