import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { watchAndKeep } from "../../src/diagnose/keep-findings.ts";
import { DamagedFileError } from "../../src/errors.ts";
import { float32Tensor, makeTensor } from "../../src/ir/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/runs/checkpoint.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { smallestConfig, temporaryFolder, tensorBytes } from "../support/training/tiny-run.ts";

const config = smallestConfig({ epochs: 2, checkpointEverySteps: 1 });

/** A run that was stopped after a step, and the same run that never was. */
async function stoppedAt(step: number) {
  const parent = await temporaryFolder();
  const controller = new AbortController();
  const whole = await startRun({ config, parent, name: "whole" });
  const stopped = startRun(
    { config, parent, name: "stopped" },
    {
      signal: controller.signal,
      onStep: (now) => now.step === step && controller.abort(),
      watch: (run) => watchAndKeep(run).watcher,
    },
  );
  await expect(stopped).rejects.toThrow(`stopped after step ${step}`);
  const folder = join(parent, "stopped");
  const last = join(folder, "checkpoints", "last.safetensors");
  const resumed = async () => {
    const notes: string[] = [];
    const { paths } = await resumeRun(folder, { onStart: (start) => notes.push(...start.notes) });
    expect(await readFile(paths.metrics, "utf8")).toBe(await readFile(whole.paths.metrics, "utf8"));
    for (const name of ["last.safetensors", "best.safetensors"]) {
      const bytes = await tensorBytes(join(paths.checkpoints, name));
      expect(bytes).toEqual(await tensorBytes(join(whole.paths.checkpoints, name)));
    }
    return notes;
  };
  return { folder, last, resumed, metrics: join(folder, "metrics.jsonl") };
}

async function change(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  const position = Math.floor(bytes.length * at);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

describe("a damaged checkpoint", () => {
  it("is named, and the one before it is used: the same bits in the end", async () => {
    const { folder, last, resumed } = await stoppedAt(3);
    await change(last, 0.9);
    await expect(loadRun(folder)).rejects.toThrow(DamagedFileError);
    expect(await resumed()).toEqual([expect.stringMatching(/last\.safetensors: .*checksum.*previous\.safetensors/)]);
  });

  it("that is missing is replaced by the one before it", async () => {
    const { last, resumed } = await stoppedAt(3);
    await rm(last);
    expect(await resumed()).toEqual([]);
  });

  it("is an error where the one before it is damaged too", async () => {
    const { folder, last } = await stoppedAt(3);
    await change(last, 0.9);
    await change(join(folder, "checkpoints", "previous.safetensors"), 0.8);
    await expect(resumeRun(folder)).rejects.toThrow(DamagedFileError);
  });

  it.each<[string, (name: string) => object]>([
    ["NaN", () => ({ value: Number.NaN })],
    ["infinity", () => ({ value: Number.POSITIVE_INFINITY })],
  ])("of an honest writer with %s in a weight is refused by name before a number is printed", async (_, given) => {
    const { folder, last } = await stoppedAt(3);
    const { state, ...rest } = await readCheckpoint(last);
    const { value } = { value: 0, ...given("") };
    const wrong = new Map(state);
    for (const [name, { shape }] of state) {
      if (shape.length !== 2) continue;
      wrong.set(name, float32Tensor(shape, new Array(shape.reduce((a, b) => a * b)).fill(value)));
      break;
    }
    await writeCheckpoint(last, { ...rest, state: wrong });
    await expect(loadRun(folder)).rejects.toThrow(/the parameter .* holds infinite numbers or NaN/);
    await expect(resumeRun(folder)).rejects.toThrow(/the parameter .* holds infinite numbers or NaN/);
  });

  it("with a tensor of another type or shape is refused by name", async () => {
    const { folder, last } = await stoppedAt(3);
    const { state, ...rest } = await readCheckpoint(last);
    // A parameter and, last, a state of the optimizer.
    for (const [name, { shape, data }] of [...state].filter((_, at) => at === 0 || at === state.size - 1)) {
      const wrong = new Map(state).set(name, makeTensor("int32", shape, new Int32Array(data.length)));
      await writeCheckpoint(last, { ...rest, state: wrong });
      await expect(resumeRun(folder), name).rejects.toThrow(name);
      const longer = new Map(state).set(name, float32Tensor([data.length + 1], new Array(data.length + 1).fill(1)));
      await writeCheckpoint(last, { ...rest, state: longer });
      await expect(resumeRun(folder), name).rejects.toThrow(name);
    }
  });
});

describe("a log that is not what the run wrote", () => {
  it.each(["metrics.jsonl", "diagnosis.jsonl"])("is named on resume (%s)", async (name) => {
    const { folder } = await stoppedAt(3);
    const file = join(folder, name);
    const text = await readFile(file, "utf8");
    for (const wrong of [text.replace(/\d(?=\D*\n)/, (digit) => String((Number(digit) + 1) % 10)), "", text.slice(9)]) {
      await writeFile(file, wrong);
      await expect(resumeRun(folder)).rejects.toMatchObject({ where: file, code: "FILE_FORMAT" });
    }
    await rm(file);
    await expect(resumeRun(folder)).rejects.toThrow("the log is missing");
  });

  it("is repaired where the damage lies after the previous checkpoint", async () => {
    const { metrics, resumed } = await stoppedAt(3);
    const lines = (await readFile(metrics, "utf8")).split("\n");
    await writeFile(metrics, [...lines.slice(0, 2), lines[2]?.replace('"loss":', '"loss":1'), ""].join("\n"));
    expect(await resumed()).toEqual([expect.stringContaining("metrics.jsonl: the log up to step 3")]);
  });
});

describe("a configuration that is not the checkpoint's", () => {
  it("is refused by everything that reads the run", async () => {
    const { folder, last } = await stoppedAt(3);
    const file = join(folder, "config.yaml");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("weightBits: 4", "weightBits: 2"));
    await copyFile(last, join(folder, "checkpoints", "best.safetensors"));
    for (const job of [() => loadRun(folder), () => loadRun(folder, "best"), () => resumeRun(folder)]) {
      await expect(job()).rejects.toMatchObject({ code: "CONFIG", exitCode: 2 });
    }
    await copyFile(last, join(folder, "apart.safetensors"));
    expect((await loadRun(join(folder, "apart.safetensors"))).config.quantization?.weightBits).toBe(4);
  });
});
