/** The system refuses to write, at each write of a run in turn: a clear error, and the run resumes to the same bits. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { watchAndKeep } from "../../src/diagnose/keep-findings.ts";
import { InputOutputError } from "../../src/errors.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { withFault, writesToTry } from "../support/machine/faults.ts";
import { temporaryFolder } from "../support/training/tiny-run.ts";

const config = resolveTrainingConfig({
  name: "faults",
  text: JSON.stringify({
    model: { name: "mlp", width: 8 },
    data: { trainLimit: 64, testLimit: 32 },
    train: { epochs: 2, batchSize: 16, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 3 },
    quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
    threads: 1,
  }),
});
const listeners = { watch: (run: Parameters<typeof watchAndKeep>[0]) => watchAndKeep(run).watcher };
const codes = ["ENOSPC", "EACCES", "EROFS", "EDQUOT", "EIO", "ENOENT"];

/** Everything that a run leaves and that does not depend on the time. */
async function left(folder: string): Promise<Record<string, string>> {
  const files = ["metrics.jsonl", "diagnosis.jsonl", "findings.json", "config.yaml"];
  const states = ["last.safetensors", "best.safetensors", "previous.safetensors"];
  const paths = [...files, ...states.map((name) => join("checkpoints", name))];
  const contents = await Promise.all(paths.map((path) => readFile(join(folder, path), "latin1")));
  const names = await readdir(folder, { recursive: true });
  // A file that this process itself was not allowed to remove goes when it is another process that resumes.
  const litter = names.filter((name) => /\.part$|\.lock$/.test(name) && !name.includes(`.${process.pid}.`));
  return { ...Object.fromEntries(paths.map((path, at) => [path, contents[at] ?? ""])), litter: litter.join(" ") };
}

const start = (parent: string) => startRun({ config, parent, name: "run", existOk: true }, listeners);

describe("a run whose writes fail", () => {
  it("names the file and the reason at each of them, and resumes to the same bits", async () => {
    const parent = await temporaryFolder();
    const { outcome, writes } = await withFault({ under: parent, at: Number.POSITIVE_INFINITY, code: "" }, () =>
      start(parent),
    );
    expect(outcome).toHaveProperty("accuracy");
    const whole = await left(join(parent, "run"));
    expect(whole.litter).toBe("");
    let refused = 0;
    const tried = writesToTry(writes, 12);
    for (const [index, at] of tried.entries()) {
      for (const once of [true, false]) {
        const folder = await temporaryFolder();
        const code = codes[index % codes.length] ?? "";
        const fault = { under: folder, at, code, once };
        const { outcome: end } = await withFault(fault, () => start(folder));
        if ("error" in end) {
          refused++;
          expect(end.error, JSON.stringify(fault)).toBeInstanceOf(InputOutputError);
          expect(String(end.error), JSON.stringify(fault)).toContain(`(${code})`);
          expect(end.error).toHaveProperty("where", expect.stringContaining(folder));
        }
        const { config: file } = runPaths(join(folder, "run"));
        if (existsSync(file)) await resumeRun(join(folder, "run"), listeners);
        else await start(folder);
        expect(await left(join(folder, "run")), JSON.stringify(fault)).toEqual(whole);
      }
    }
    if (process.env.SUBBYTE_FAULTS === "all")
      process.stdout.write(`${writes} writes, ${2 * tried.length} faults, ${refused} refused\n`);
    expect(refused).toBeGreaterThan(tried.length);
  }, 600_000);

  it("does not notice a clock that jumps", async () => {
    const [first, second] = [await temporaryFolder(), await temporaryFolder()];
    await start(first);
    let time = 0;
    const spy = vi.spyOn(Date, "now").mockImplementation(() => {
      time = (time * 31 + 7) % 1_000_003;
      return time * (time % 2 === 0 ? 1e7 : -1);
    });
    try {
      await start(second);
    } finally {
      spy.mockRestore();
    }
    expect(await left(join(second, "run"))).toEqual(await left(join(first, "run")));
  });
});
