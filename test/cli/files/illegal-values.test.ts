/** Checkpoints without a checksum whose scales have lost their sign or their value: every command names the parameter. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/runs/checkpoint.ts";
import { startRun } from "../../../src/train/run.ts";
import { capture } from "../../support/machine/capture.ts";
import { smallestConfig } from "../../support/training/tiny-run.ts";

const config = smallestConfig();
const parameter = "fc2.input.quantizer.scale";

let parent = "";
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "subbyte-illegal-"));
  await startRun({ config, parent, name: "run" });
}, 60_000);
afterAll(() => rm(parent, { recursive: true, force: true }));

/** The run with a checkpoint of the first format, which has no checksum, and this scale. */
async function runWithScale(scale: number): Promise<string> {
  const folder = join(await mkdtemp(join(parent, "copy-")), "run");
  await cp(join(parent, "run"), folder, { recursive: true });
  const file = join(folder, "checkpoints", "last.safetensors");
  const { state, ...rest } = await readCheckpoint(file);
  await writeCheckpoint(file, { ...rest, state: new Map(state).set(parameter, float32Tensor([], [scale])) });
  const text = (await readFile(file)).toString("latin1");
  await writeFile(file, Buffer.from(text.replace("subbyte checkpoint 2", "subbyte checkpoint 1"), "latin1"));
  return folder;
}

const commands: Readonly<Record<string, (run: string) => string[]>> = {
  eval: (run) => ["eval", run, "--threads", "1"],
  convert: (run) => ["convert", run, "--threads", "1"],
  diagnose: (run) => ["diagnose", run, "--threads", "1"],
  explain: (run) => ["explain", run, "--threads", "1"],
  resume: (run) => ["train", "--resume", run, "-q"],
};

describe("a scale that no training leaves", () => {
  it.each(Object.entries(commands))("is refused by %s", async (name, argumentsOf) => {
    for (const scale of name === "eval" ? [0, -0.25] : [-0.25]) {
      const { code, stderr, stdout } = await capture(...argumentsOf(await runWithScale(scale)));
      expect(stderr).toContain(`the parameter ${parameter} holds ${scale}, but its values must be at least 5.421e-20`);
      expect([code, stdout]).toEqual([1, ""]);
    }
  });

  it("is none where it is small but has a reciprocal", async () => {
    const { code, stderr } = await capture("eval", await runWithScale(1e-8), "--threads", "1");
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
  });
});
