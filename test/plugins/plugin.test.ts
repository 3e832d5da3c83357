/** An operator and a quantizer from outside the package: trained, explained, converted, in this process and in children. @slow */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { readConfigFile } from "../../src/config/file.ts";
import { PluginError } from "../../src/errors.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { elementCount } from "../../src/ir/types.ts";
import { loadPlugin } from "../../src/plugins/load.ts";
import { definePlugin, registerPlugin } from "../../src/plugins/plugin.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { quantizerNamed } from "../../src/quantizers/index.ts";
import { capture } from "../support/machine/capture.ts";
import { onnxModel } from "../support/onnx/model.ts";
import { temporaryFolder } from "../support/training/tiny-run.ts";

const toyPlugin = fileURLToPath(new URL("toy-plugin.mjs", import.meta.url));

/** Conv, the toy's own operator, ReLU, global average, Gemm, as a file. */
async function toyModel(folder: string): Promise<string> {
  const stream = randomStream(3, "toy weights");
  const weights = (...shape: number[]) =>
    float32Tensor(
      shape,
      Array.from({ length: elementCount(shape) }, () => stream.normal() * 0.3),
    );
  const file = join(folder, "toy.onnx");
  await writeFile(
    file,
    onnxModel({
      inputs: { images: ["N", 1, 28, 28] },
      outputs: ["logits"],
      initializers: {
        "conv1.weight": weights(6, 1, 3, 3),
        "conv2.weight": weights(8, 6, 3, 3),
        "fc.weight": weights(10, 8),
      },
      nodes: [
        ["Conv", ["images", "conv1.weight"], ["a"], { strides: [2, 2] }],
        ["Halve", ["a"], ["b"], {}, "toy"],
        ["Relu", ["b"], ["c"]],
        ["Conv", ["c", "conv2.weight"], ["d"], { strides: [2, 2] }],
        ["Relu", ["d"], ["e"]],
        ["GlobalAveragePool", ["e"], ["f"]],
        ["Flatten", ["f"], ["g"]],
        ["Gemm", ["g", "fc.weight"], ["logits"], { transB: 1 }],
      ],
    }),
  );
  return file;
}

const small = ["--set", "data.trainLimit=128", "--set", "data.testLimit=40", "--epochs", "1", "--batch", "32"];
const bits = ["--preset", "toy", "--weight-bits", "4", "--activation-bits", "4"];

describe("--plugin", () => {
  it("trains, explains, diagnoses and converts what a plugin defines", async () => {
    const folder = await temporaryFolder();
    const model = ["--model", await toyModel(folder)];
    const run = join(folder, "run");
    const train = await capture(
      ...["train", ...model, ...small, ...bits, "--plugin", toyPlugin, "--threads", "1", "--quiet"],
      ...["--out", folder, "--name", "run", "--set", "quantization.residualBits=8", "--diagnose"],
    );
    expect(train).toMatchObject({ code: 0 });
    expect(await readFile(join(run, "config.yaml"), "utf8")).toContain(`plugins:\n  - ${toyPlugin}\n`);

    const explained = await capture("explain", run, "--json");
    expect(explained).toMatchObject({ code: 0 });
    expect(explained.stdout).toContain('"fixed-step"');

    expect(await capture("diagnose", run)).toMatchObject({ code: 0 });

    const converted = await capture("convert", run, "--verify", "--json", "--threads", "1");
    expect(converted).toMatchObject({ code: 0 });
    const verified: unknown = JSON.parse(await readFile(join(run, "convert", "verify.json"), "utf8"));
    expect(verified).toMatchObject({
      programs: expect.arrayContaining([expect.objectContaining({ program: "onnx int", mismatches: 0 })]),
    });
  }, 60_000);

  it("reaches the trials of a study, which are processes of their own", async () => {
    const folder = await temporaryFolder();
    const study = join(folder, "study");
    const { code, stdout } = await capture(
      ...["study", "--model", "lenet", "--plugin", toyPlugin, "--recipes", "toy", "--weight-bits", "4"],
      ...["--activation-bits", "4", "--epochs", "1", "--float-epochs", "1", "--batch", "32", "--train-limit", "64"],
      ...["--test-limit", "40", "--threads", "1", "--parallel", "1", "--no-report", "--quiet", "--out", study],
    );
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining("toy") });
  }, 60_000);

  it.each([
    ["no.mjs", undefined, /cannot be read/],
    ["empty.mjs", "export const x = 1;", /no plugin as its default export/],
    ["broken.mjs", "export default {", /cannot be imported/],
    ["odd.mjs", 'export default { name: "odd", operator: [] };', /unknown key operator/],
    ["list.mjs", 'export default { name: "odd", quantizers: {} };', /quantizers is not a list/],
  ])("refuses %s before the command runs", async (name, text, message) => {
    const folder = await temporaryFolder();
    const file = join(folder, name);
    if (text !== undefined) await writeFile(file, text);
    const { code, stderr } = await capture("train", "--plugin", file, "--dry-run");
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe("plugins: of a configuration", () => {
  it("resolves against the folder of the file, and names the preset", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "inner"));
    const text = await readFile(toyPlugin, "utf8");
    await writeFile(
      join(folder, "inner", "mine.mjs"),
      text.replaceAll("toy", "inner").replaceAll("fixed-step", "inner-step"),
    );
    await writeFile(join(folder, "inner", "qat.yaml"), "plugins: [./mine.mjs]\nquantization: { preset: inner }\n");
    const config = resolveTrainingConfig(await readConfigFile(join(folder, "inner", "qat.yaml")));
    expect(config.plugins).toEqual([join(folder, "inner", "mine.mjs")]);
    expect(config.quantization?.preset).toBe("inner");
  });

  it("says which presets there are where one is unknown", () => {
    expect(() => resolveTrainingConfig({ name: "a.yaml", text: "quantization: { preset: lqs }" })).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining("lsq") }),
    );
  });
});

describe("registerPlugin", () => {
  it("takes the same definitions twice, and another one of a name not at all", async () => {
    await loadPlugin(toyPlugin);
    await loadPlugin(toyPlugin);
    const lsq = quantizerNamed("lsq");
    expect(() => registerPlugin({ name: "again", quantizers: [lsq] })).not.toThrow();
    const other = definePlugin({ name: "other", quantizers: [{ ...lsq }] });
    expect(() => registerPlugin(other)).toThrow(PluginError);
    expect(() => registerPlugin({ name: "float", presets: { float: (bits) => presetNamed("lsq", bits) } })).toThrow(
      PluginError,
    );
  });
});
