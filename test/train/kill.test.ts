import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { configToYaml } from "../../src/config/config.ts";
import { writeFileAtomic } from "../../src/io/atomic-file.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { temporaryFolder, tensorBytes, tinyConfig } from "../support/training/tiny-run.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Steps that a metrics log holds so far. */
async function stepsLogged(file: string): Promise<number> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").filter((line) => line.includes('"learningRate"')).length;
}

describe("SIGKILL", () => {
  // The steps are fixed, so that a failure can be repeated; the exact moment of the kill within the step is not.
  it.each([2, 11, 19])("after about step %i, then resumed: the same weights, bit for bit", async (killAt) => {
    const parent = await temporaryFolder();
    const config = tinyConfig({
      train: { epochs: 3, batchSize: 32, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 3 },
      quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
    });
    const whole = await startRun({ config, parent, name: "whole" });
    const file = join(parent, "config.yaml");
    await writeFileAtomic(file, configToYaml(config));
    const child = spawn(
      process.execPath,
      ["--import", "tsx", main, "train", "--config", file, "--out", parent, "--name", "killed", "--quiet"],
      { stdio: "ignore" },
    );
    const exited = once(child, "exit");
    const folder = join(parent, "killed");
    while ((await stepsLogged(join(folder, "metrics.jsonl"))) < killAt && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill("SIGKILL");
    await exited;
    const { pid = 0 } = child;
    const half = join(folder, "checkpoints", `.last.safetensors.${pid}.${randomUUID()}.part`);
    await writeFile(half, "half a checkpoint");
    const resumed = await resumeRun(folder);
    expect(existsSync(half)).toBe(false);
    expect(await readFile(resumed.paths.metrics, "utf8")).toBe(await readFile(whole.paths.metrics, "utf8"));
    const bytes = await tensorBytes(join(resumed.paths.checkpoints, "last.safetensors"));
    expect(bytes).toEqual(await tensorBytes(join(whole.paths.checkpoints, "last.safetensors")));
  });
});
