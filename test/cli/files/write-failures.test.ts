/** Commands whose writes fail, or whose files exist: a sentence, and never a bug of subbyte. */
import { spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { watchAndKeep } from "../../../src/diagnose/keep-findings.ts";
import { startRun } from "../../../src/train/run.ts";
import { capture } from "../../support/machine/capture.ts";
import { withFault, writesToTry } from "../../support/machine/faults.ts";
import { repositoryRoot } from "../../support/repository.ts";
import { smallestConfig } from "../../support/training/tiny-run.ts";

const config = smallestConfig();

let parent = "";
let model = "";
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "subbyte-writes-"));
  const watch = { watch: (run: Parameters<typeof watchAndKeep>[0]) => watchAndKeep(run).watcher };
  await startRun({ config, parent, name: "run" }, watch);
  await capture("convert", join(parent, "run"), "--format", "float", "-o", join(parent, "float"), "-q");
  model = join(parent, "float", (await readdir(join(parent, "float")))[0] ?? "");
}, 60_000);
afterAll(() => rm(parent, { recursive: true, force: true }));

/** A copy of the run in a folder of its own. */
async function copyOfRun(): Promise<string> {
  const folder = join(await mkdtemp(join(parent, "copy-")), "run");
  await cp(join(parent, "run"), folder, { recursive: true });
  return folder;
}

const commands: readonly (readonly [string, (run: string) => string[]])[] = [
  ["report", (run) => ["report", run]],
  ["convert", (run) => ["convert", run, "--format", "int", "--format", "c", "--verify", "--threads", "1"]],
  ["diagnose", (run) => ["diagnose", run, "--threads", "1"]],
  ["import", (run) => ["import", model, "-o", join(run, "imported.onnx")]],
  ["train", (run) => ["train", "--resume", run, "-q"]],
];

describe("a command whose writes fail", () => {
  it.each(commands)(
    "says which file and why, at each of them: %s",
    async (name, args) => {
      const counted = await copyOfRun();
      const { outcome, writes } = await withFault({ under: counted, at: Number.POSITIVE_INFINITY, code: "" }, () =>
        capture(...args(counted)),
      );
      expect(outcome).toMatchObject({ code: 0 });
      expect(writes).toBeGreaterThan(0);
      for (const [index, at] of writesToTry(writes, 3).entries()) {
        const code = ["EROFS", "ENOSPC", "EACCES", "EDQUOT"][index % 4] ?? "";
        const run = await copyOfRun();
        const { outcome: end } = await withFault({ under: run, at, code }, () => capture(...args(run)));
        if ("error" in end) throw end.error;
        const text = end.stdout + end.stderr;
        expect(text, `write ${at} of ${name}`).not.toMatch(/internal error|a bug in|defect/);
        expect([0, 1]).toContain(end.code);
        if (end.code === 1) expect(end.stderr).toContain(`(${code})`);
        expect((await capture("eval", run, "--threads", "1")).code).toBe(0);
      }
    },
    300_000,
  );

  it("diagnose prints the findings and then says that they were not saved", async () => {
    const run = await copyOfRun();
    const { outcome } = await withFault({ under: run, at: 1, code: "EROFS" }, () =>
      capture("diagnose", run, "--threads", "1"),
    );
    expect(outcome).toMatchObject({ code: 0, stderr: expect.stringContaining("note: the findings were not saved") });
    expect(outcome).toMatchObject({ stderr: expect.stringContaining("the file system is read-only (EROFS)") });
    expect("stdout" in outcome && outcome.stdout.length).toBeGreaterThan(0);
  });

  it.skipIf(process.platform !== "linux")("says that the standard output is full", async () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--import", "tsx", join(repositoryRoot, "src", "cli", "main.ts"), "inspect", "lenet", "--json"],
      { stdio: ["ignore", full, "pipe"], encoding: "utf8", cwd: repositoryRoot },
    );
    expect(stderr).toContain("cannot write to the standard output: the disk is full (ENOSPC)");
    expect(status).toBe(1);
  });
});

describe("a file that exists", () => {
  it("is replaced with a note that names it", async () => {
    const folder = join(parent, "out");
    await mkdir(folder);
    const convert = () => capture("convert", join(parent, "run"), "--format", "int", "-o", folder);
    expect((await convert()).stderr).not.toContain("replaced");
    expect((await convert()).stderr).toContain(`note: replaced ${join(folder, "model.int.onnx")}`);
    const precious = join(folder, "precious.onnx");
    await writeFile(precious, "precious");
    expect((await capture("import", model, "-o", precious)).stderr).toContain(`note: replaced ${precious}`);
    const first = await capture("report", join(parent, "run"));
    expect(first.stderr).not.toContain("replaced");
    expect((await capture("report", join(parent, "run"))).stderr).toMatch(/note: replaced \d+ files in .*report/);
  });

  it("of another program is no run's: train --exist-ok refuses the folder with exit code 2", async () => {
    const folder = join(parent, "mine");
    await mkdir(folder);
    await writeFile(join(folder, "config.yaml"), "precious: true\n");
    const file = join(parent, "new.yaml");
    await writeFile(file, await readFile(join(parent, "run", "config.yaml"), "utf8"));
    const { code, stderr } = await capture("train", "--config", file, "-o", parent, "--name", "mine", "--exist-ok");
    expect(stderr).toContain("the folder holds config.yaml, but no run");
    expect(code).toBe(2);
    expect(await readFile(join(folder, "config.yaml"), "utf8")).toBe("precious: true\n");
  });
});
