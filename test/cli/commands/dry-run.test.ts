/** `--dry-run` opens the data and the model, and `train` warns of a network that will not convert before it trains. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { capture } from "../../support/machine/capture.ts";
import { onnxModel, ramp } from "../../support/onnx/model.ts";

let folder = "";
let refused = "";
const small = ["--set", "data.trainLimit=64", "--set", "data.testLimit=32", "--batch", "16", "--epochs", "2"];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-dry-run-"));
  refused = join(folder, "refused.onnx");
  const model = onnxModel({
    inputs: { x: ["N", 1, 28, 28] },
    outputs: ["y"],
    nodes: [
      ["Conv", ["x", "stem.weight"], ["h1"], { kernel_shape: [3, 3], strides: [2, 2] }],
      ["LogSoftmax", ["h1"], ["gate"]],
      ["Mod", ["h1", "gate"], ["h2"], { fmod: 1 }],
      ["GlobalAveragePool", ["h2"], ["h3"]],
      ["Flatten", ["h3"], ["h4"]],
      ["Gemm", ["h4", "head.weight"], ["y"]],
    ],
    initializers: { "stem.weight": ramp(4, 1, 3, 3), "head.weight": ramp(4, 10) },
  });
  writeFileSync(refused, model);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("train --dry-run", () => {
  it("prints classes, sizes, normalization, bits of each layer, memory, time, and the operators that do not convert", async () => {
    const { code, stdout, stderr } = await capture(
      "train",
      "--dry-run",
      "--model",
      refused,
      "--preset",
      "lsq",
      ...small,
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/^opening the data and the model, and timing a few steps …$/m);
    expect(stdout).toMatch(
      /^# data: .*, 64 training and 32 test images of 1x28x28 \(uint8\), 10 classes: T-shirt\/top/m,
    );
    expect(stdout).toMatch(/^# normalization: mean 0\.\d+; standard deviation 0\.\d+$/m);
    expect(stdout).toMatch(/^# │ Conv_0 +│ Conv +│ +36 │ 8 \(256 levels\) +│/m);
    expect(stdout).toMatch(/^# integers: no, LogSoftmax \(LogSoftmax_1\): there is no integer form of LogSoftmax$/m);
    expect(stdout).toMatch(/^# +Mod \(Mod_2\): /m);
    expect(stdout).toMatch(/^# memory: about \d+(\.\d+)? MB$/m);
    expect(stdout).toMatch(/^# time: (about .*|less than 1s) for 8 steps of .*ms/m);
    // The whole output is a configuration still.
    expect(parse(stdout)).toMatchObject({ train: { epochs: 2, batchSize: 16 }, model: { file: refused } });
  });

  it("gives the same as JSON", async () => {
    const { stdout } = await capture("train", "--dry-run", "--json", "--model", "lenet", ...small);
    expect(JSON.parse(stdout)).toMatchObject({
      config: { model: { name: "lenet" } },
      check: { data: { train: 64, test: 32 }, steps: 8, batchSize: 16, integers: { converts: true, obstacles: [] } },
    });
  });

  it.each([
    [["--model", "nowhere/mine.onnx"], /nowhere\/mine\.onnx/],
    [["--model", "mlp", "--data", "./nowhere"], /nowhere/],
    [["--model", "mlp", "--from", "nowhere/run"], /nowhere\/run/],
  ])("fails for %j as the training would", async (flags, words) => {
    const { code, stdout, stderr } = await capture("train", "--dry-run", ...small, ...flags);
    expect([1, 2, 3]).toContain(code);
    expect(stdout).toBe("");
    expect(stderr).toMatch(words);
  });
});

describe("study --dry-run", () => {
  it("opens the data and the model, and estimates the whole study", async () => {
    const grid = ["--weight-bits", "4", "--activation-bits", "4,2", "--recipes", "lsq", "--epochs", "1"];
    const limits = ["--train-limit", "64", "--test-limit", "32", "--batch", "16", "--float-epochs", "1"];
    const { code, stdout } = await capture("study", "--dry-run", "--model", "lenet", ...grid, ...limits);
    expect(code).toBe(0);
    expect(stdout).toMatch(/64 training and 32 test images of 1x28x28/);
    expect(stdout).toMatch(/^integers: yes$/m);
    expect(stdout).toMatch(/^whole study: about \d+s/m);
  });
});

describe("train", () => {
  it("warns before the first step that the network will not convert", async () => {
    const flags = ["--preset", "lsq", "--out", folder, "--name", "w4", "--no-diagnose", "--seed", "1"];
    const { code, stderr } = await capture("train", "--model", refused, ...flags, ...small);
    expect(code).toBe(0);
    const [warning, start] = ["the trained network will not convert to integers: LogSoftmax (LogSoftmax_1)", "8 steps"];
    expect(stderr).toContain(warning);
    expect(stderr.indexOf(warning)).toBeLessThan(stderr.indexOf(start));
  });
});
