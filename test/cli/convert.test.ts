/** `subbyte convert`, `compare` and `eval --integer` on a run that a second of training made. */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnxFile } from "../../src/importer/node-files.ts";
import { withParameterValues } from "../../src/ir/network.ts";
import { float32Tensor, type Tensor, toNumbers } from "../../src/ir/tensor.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { capture } from "../support/machine/capture.ts";

let folder = "";
const runOf = (name: string): string => join(folder, name);

async function train(name: string, ...flags: string[]): Promise<void> {
  const model = ["--model", "resnet8", "--set", "model.width=4"];
  const data = ["--set", "data.trainLimit=256", "--set", "data.testLimit=60"];
  const recipe = ["--epochs", "1", "--batch", "32", "--threads", "1", "--no-diagnose", "--quiet"];
  const { code, stderr } = await capture(
    "train",
    ...model,
    ...data,
    ...recipe,
    "--out",
    folder,
    "--name",
    name,
    ...flags,
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-cli-convert-"));
  await train("float");
  await train("lsq", "--preset", "lsq", "--weight-bits", "4", "--activation-bits", "3");
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("convert", () => {
  it.each([
    ["int", ["model.int.onnx"]],
    ["qdq", ["model.qdq.onnx"]],
    ["qcdq", ["model.qcdq.onnx"]],
    ["qonnx", ["model.qonnx.onnx"]],
    ["c", ["network.c", "network.h"]],
    ["state_dict", ["load_state_dict.py", "quantization.json", "state_dict.safetensors"]],
  ])("writes %s", async (format, files) => {
    const out = join(folder, `as-${format}`);
    const { code, stdout, stderr } = await capture("convert", runOf("lsq"), "--format", format, "--out", out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(readdirSync(out).sort()).toEqual(files);
    for (const file of files) expect(stdout).toContain(file);
    expect(stdout).toMatch(/stored: [\d.]+ kB packed to its bits, [\d.]+ % of float32/);
  });

  it.each(["float", "lsq"])(
    "writes the float model of the %s run, which ONNX Runtime opens for any batch",
    async (name) => {
      const out = join(folder, `float-of-${name}`);
      const { code, stdout, stderr } = await capture("convert", runOf(name), "--format", "float", "--out", out);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/model\.float\.onnx .*kB/);
      expect(stdout).toMatch(/note: model\.float\.onnx: inputs are normalized as \(x - mean\) \/ std/);
      expect(stdout.includes("before rounding")).toBe(name === "lsq");
      const path = join(out, "model.float.onnx");
      const trained = (await loadRun(runOf(name))).network.parameters.find((each) => each.name === "conv1.weight");
      expect(importOnnxFile(path).parameters.find((each) => each.name === "conv1.weight")?.value).toEqual(
        trained?.value,
      );
      const session = await nodeEngine({ threads: 1 }).createSession(readFileSync(path));
      const [input = ""] = session.inputNames;
      const outputs = { logits: float32Tensor([3, 10], new Float32Array(30)) };
      await session.run({ [input]: float32Tensor([3, 1, 28, 28], new Float32Array(3 * 28 * 28).fill(0.5)) }, outputs);
      await session.release();
      expect(toNumbers(outputs.logits).every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
    },
  );

  it("names the float model's file and notes in the one document of --json", async () => {
    const out = join(folder, "float-and-int");
    const flags = ["-f", "float", "-f", "int", "--json", "--out", out, "--no-residual-bits"];
    const both = await capture("convert", runOf("lsq"), ...flags);
    expect({ code: both.code, stderr: both.stderr }).toEqual({ code: 0, stderr: "" });
    const document = JSON.parse(both.stdout);
    const names = ["model.float.onnx", "model.int.onnx"];
    expect(document.files.map(({ file }: { file: string }) => file)).toEqual(names.map((name) => join(out, name)));
    for (const { file, bytes } of document.files) expect(readFileSync(file).length).toBe(bytes);
    const kinds: string[] = document.notes.map(({ kind }: { kind: string }) => kind);
    expect(new Set(kinds)).toEqual(new Set(["computes in float", "wide codes"]));
    const alone = await capture("convert", runOf("float"), "-f", "float", "--json", "--out", out);
    expect(JSON.parse(alone.stdout)).toMatchObject({
      files: [document.files[0]],
      notes: [{ kind: "computes in float" }],
    });
  });

  it("stores the weights of a run that quantizes nothing else, computes in float, and says so", async () => {
    const weight = { quantizer: "minifloat", bits: 4, signed: true, granularity: "channel" };
    const overrides = JSON.stringify([{ layer: "**", weight, activation: "float" }]);
    await train("weights-only", "--preset", "lsq", "--set", `quantization.overrides=${overrides}`);
    const integers = await capture("convert", runOf("weights-only"));
    expect(integers.code).toBe(3);
    expect(integers.stderr).toContain("where only weights are quantized, write --format weights");
    const out = join(folder, "low-bit");
    const { stdout, stderr } = await capture("convert", runOf("weights-only"), "-f", "weights", "--out", out);
    expect(stderr).toBe("");
    expect(stdout).toContain("weights are stored in 4 bits (15 levels); everything is computed in float32");
    const file = join(out, "model.weights.onnx");
    const compared = await capture("compare", runOf("weights-only"), file, "--json");
    expect(JSON.parse(compared.stdout)).toMatchObject({ samples: 60, agreement: 1, firstDeparture: null });
    const refused = await capture("convert", runOf("lsq"), "-f", "weights", "--out", out);
    expect({ code: refused.code, stderr: refused.stderr }).toMatchObject({ code: 3 });
    expect(refused.stderr).toContain("an activation is quantized");
  });

  it("writes nothing where a part of what is asked for cannot be made", async () => {
    const out = join(folder, "refused");
    const { code } = await capture("convert", runOf("float"), "-f", "float", "-f", "int", "--out", out);
    expect(code).toBe(3);
    expect(existsSync(out)).toBe(false);
  });

  it("says what the C program takes: flash, RAM, and that it compiles", async () => {
    const out = join(folder, "c");
    const { stdout } = await capture("convert", runOf("lsq"), "--format", "c", "--out", out);
    const [, flash, ram] = /C: ([\d.]+ k?B) of constants, ([\d.]+ k?B) of RAM/.exec(stdout) ?? [];
    expect(flash).toBeDefined();
    expect(ram).toBeDefined();
    const flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Os", "-c", "network.c"];
    execFileSync("gcc", flags, { cwd: out, stdio: "pipe" });
    expect(existsSync(join(out, "network.o"))).toBe(true);
  });

  it("proves the files with --verify, and writes verify.json", async () => {
    const out = join(folder, "verified");
    const args = ["--format", "int", "--format", "qcdq", "--verify", "--limit", "20", "--interpret", "1", "--json"];
    const { code, stdout, stderr } = await capture("convert", runOf("lsq"), ...args, "--out", out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { verification } = JSON.parse(stdout);
    const written = JSON.parse(readFileSync(join(out, "verify.json"), "utf8"));
    expect(written).toEqual({ schemaVersion: 1, ...verification });
    expect(written).toMatchObject({
      programs: [
        { program: "onnx int", samples: 20, mismatches: 0 },
        { program: "onnx qcdq", samples: 20 },
        { program: "interpreter", samples: 1, mismatches: 0 },
      ],
    });
  });

  it("says what a verification does not cover, why QDQ files differ, and what a missing quantizer costs", async () => {
    const args = ["--format", "qdq", "--format", "c", "--verify", "--limit", "20", "--no-residual-bits"];
    const { stdout } = await capture("convert", runOf("lsq"), ...args, "--out", join(folder, "partly"));
    expect(stdout).toMatch(/onnx qdq .* 20 /);
    expect(stdout).toContain("qdq and qcdq leave sums to the floats of ONNX Runtime");
    expect(stdout).toContain("not verified, because ONNX Runtime cannot run them: c\n");
    expect(stdout).toContain("note: relu: there is no quantizer here");
    // The first block's skip, 28x28x4 values, and what the average pool reads, 7x7x16.
    expect(stdout).toMatch(
      /hint: 2 tensors are not quantized: 4 bytes a value, 15.7 kB an image. Without .*: 3.9 kB\./,
    );
    const eight = ["--verify", "--limit", "20", "--out", join(folder, "eight")];
    const added = (await capture("convert", runOf("lsq"), ...eight)).stdout;
    expect(added).toMatch(
      /^note: 8-bit quantizer added after training, also in the simulation, at \d places; -v lists them$/m,
    );
    expect(added).not.toMatch(/hint|qdq|not compared/);
  });

  it("ends with the accuracy of float, simulation and integers, which eval --integer repeats", async () => {
    const out = join(folder, "table");
    const asTrained = "--no-residual-bits";
    const { stdout } = await capture("convert", runOf("lsq"), "--batch", "2", "--out", out, asTrained);
    const share = (name: string) => new RegExp(`│ ${name}[^│]*│ +([\\d.]+) % │`).exec(stdout)?.[1];
    const [float, simulation, integers] = ["float: the same weights", "simulation", "integers: the int file"].map(
      share,
    );
    expect(stdout).toMatch(/│ +bytes │ ms for 2 samples │/);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("measured on 60 of 60 samples of fashion-mnist test");
    expect(stdout).toMatch(/hint: .*\nand the int file is .* times as fast/);
    const measured = async (...flags: string[]) =>
      (100 * JSON.parse((await capture("eval", ...flags, "--json")).stdout).accuracy).toFixed(2);
    expect(simulation).toBe(await measured(runOf("lsq")));
    expect(integers).toBe(await measured(runOf("lsq"), "--integer", asTrained));
    const added = await capture("convert", runOf("lsq"), "--json", "--out", out);
    const { deployment } = JSON.parse(added.stdout);
    expect(await measured(runOf("lsq"), "--integer")).toBe((100 * deployment.integers.accuracy).toFixed(2));
    expect(float).toMatch(/^\d+\.\d\d$/);
  });

  it("takes the float run that a training started from, and measures nothing where that is asked for", async () => {
    await train("from", "--preset", "lsq", "--weight-bits", "4", "--activation-bits", "4", "--from", runOf("float"));
    const started = await capture("convert", runOf("from"), "--json", "--limit", "40");
    const { deployment } = JSON.parse(started.stdout);
    const float = JSON.parse((await capture("eval", runOf("float"), "--limit", "40", "--json")).stdout);
    expect(deployment).toMatchObject({ floatRun: runOf("float"), samples: 40, available: 60, batchSize: 1 });
    expect(deployment.float.accuracy).toBe(float.accuracy);
    const silent = await capture("convert", runOf("from"), "--no-measure");
    expect(silent.stdout).not.toMatch(/measured on|│ simulation/);
  });

  it("verifies on other data", async () => {
    const data = ["--data", "fashion-mnist-part", "--limit", "70", "--interpret", "0", "--json"];
    const { stdout } = await capture("convert", runOf("lsq"), "--verify", ...data, "--out", join(folder, "other"));
    expect(JSON.parse(stdout)).toMatchObject({ verification: { agrees: true, programs: [{ samples: 70 }] } });
  });

  it("refuses a run that trained in float, and one that is not finished", async () => {
    const float = await capture("convert", runOf("float"));
    expect(float.code).toBe(3);
    expect(float.stderr).toContain("the run trained in float");
    const stopped = join(folder, "stopped");
    cpSync(runOf("lsq"), stopped, { recursive: true });
    rmSync(join(stopped, "summary.json"));
    const unfinished = await capture("convert", stopped);
    expect(unfinished.code).toBe(3);
    expect(unfinished.stderr).toContain("the run has not finished: it stopped after 8 steps");
    expect(unfinished.stderr).toContain("train --resume");
    const checkpoint = join(folder, "last.safetensors");
    copyFileSync(join(stopped, "checkpoints", "last.safetensors"), checkpoint);
    expect((await capture("convert", checkpoint, "--out", join(folder, "as-it-is"))).code).toBe(0);
  });

  it("refuses a format that there is not, and a run that there is not", async () => {
    const format = await capture("convert", runOf("lsq"), "--format", "tflite");
    expect(format.code).toBe(2);
    expect(format.stderr).toContain("int, qdq, qcdq, qonnx, c, state_dict");
    const run = await capture("convert", runOf("none"));
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("there is no such run or checkpoint");
  });
});

describe("eval --integer", () => {
  it("measures the accuracy of the integers", async () => {
    const { code, stdout, stderr } = await capture("eval", runOf("lsq"), "--integer", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const integer = JSON.parse(stdout);
    expect(integer).toMatchObject({ arithmetic: "integers", count: 60 });
    const simulated = JSON.parse((await capture("eval", runOf("lsq"), "--json")).stdout);
    expect(simulated).toMatchObject({ arithmetic: "simulation" });
    expect(Math.abs(integer.loss - simulated.loss)).toBeLessThan(0.05);
  });

  it("refuses a run that trained in float", async () => {
    const { code, stderr } = await capture("eval", runOf("float"), "--integer");
    expect(code).toBe(3);
    expect(stderr).toContain("no quantizers");
  });
});

describe("compare", () => {
  const compared = async (...args: string[]): Promise<ReturnType<typeof JSON.parse>> => {
    const { code, stdout, stderr } = await capture("compare", ...args, "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };

  it("says of two runs how far their layers are apart", async () => {
    const result = await compared(runOf("float"), runOf("lsq"));
    expect(result).toMatchObject({ samples: 60, output: { layer: "logits" } });
    expect(result.layers.length).toBeGreaterThan(10);
    expect(result.layers.map(({ layer }: { layer: string }) => layer)).toContain(result.firstDeparture);
    const { stdout } = await capture("compare", runOf("float"), runOf("lsq"));
    expect(stdout).toMatch(/accuracy of A \/ B/);
    expect(stdout).toMatch(/layers that differ most/);
  });

  it("finds a run equal to itself", async () => {
    const result = await compared(runOf("lsq"), runOf("lsq"));
    expect(result).toMatchObject({ agreement: 1, output: { largest: 0, sqnr: null }, firstDeparture: null });
  });

  it("compares a run with the integers that were made of it", async () => {
    const out = join(folder, "for-comparison");
    await capture("convert", runOf("lsq"), "--out", out, "--batch", "8");
    const result = await compared(runOf("lsq"), join(out, "model.int.onnx"));
    expect(result.agreement).toBeGreaterThan(0.9);
    expect(result.output.sqnr).toBeGreaterThan(15);
    const files = await compared(
      join(out, "model.int.onnx"),
      join(out, "model.int.onnx"),
      "--data",
      "fashion-mnist-part",
      "--limit",
      "30",
    );
    expect(files).toMatchObject({ samples: 30, agreement: 1, output: { largest: 0 } });
    expect(files.layers.length).toBeGreaterThan(5);
  });

  it("compares two ONNX files of float networks, layer by layer", async () => {
    const { network } = await loadRun(runOf("float"));
    const negated = network.parameters.map(({ name, value }): [string, Tensor] => [
      name,
      name === "layer2.0.conv2.weight"
        ? float32Tensor(
            value.shape,
            toNumbers(value).map((x) => -x),
          )
        : value,
    ]);
    const files = [network, withParameterValues(network, new Map(negated))].map((each, index) => {
      const file = join(folder, `${index}.onnx`);
      writeFileSync(file, exportOnnx(each));
      return file;
    });
    const result = await compared(...files, "--data", "fashion-mnist-part", "--limit", "40");
    expect(result.firstDeparture).toContain("layer2.0.conv2");
    const without = await capture("compare", ...files);
    expect(without.code).toBe(2);
    expect(without.stderr).toContain("--data fashion-mnist-part");
  });
});
