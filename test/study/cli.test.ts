/** Studies by the command line. @slow */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { randomStream } from "../../src/base/random.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { makeModel } from "../../src/models/index.ts";
import { capture } from "../support/machine/capture.ts";
import { temporaryFolder } from "./support.ts";

const small =
  "--model mlp --train-limit 128 --test-limit 64 --batch 32 --epochs 1 --float-epochs 1 --threads 1 --parallel 2".split(
    " ",
  );

afterEach(() => {
  // A study that tells of failures sets it; the test's own process has not failed.
  process.exitCode = 0;
});

describe("subbyte study", () => {
  it.each(["study", "report"])("%s has a help", async (command) => {
    const { code, stdout } = await capture(command, "--help");
    expect(code).toBe(0);
    await expect(stdout).toMatchFileSnapshot(`snapshots/help-${command}.txt`);
  });

  it.each([
    [["study", "--weight-bits", "4,x"], '--weight-bits 4,x: weightBits.1: expected a number, got "x"'],
    [["study", "--seeds", "0"], "expected a number of seeds from 1 to 1000"],
    [["study", "--set", "float.epoch=3"], "unknown key float.epoch"],
    [["study", "--recipes", "lsqq"], "expected presets out of"],
    [["study", "--resume", "--epochs", "3"], "a resumed study keeps its own configuration"],
    [["study", "--resume", "nowhere"], "nowhere/study.yaml: there is no study"],
    [["study", "--early-stopping", "best"], "Allowed choices are none, median, asha."],
    [["report", "nowhere"], "nowhere: there is neither a study nor a run"],
  ])("%j", async (args, words) => {
    const { code, stdout, stderr } = await capture(...args);
    expect(stderr).toContain(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("is what npm start runs: a configuration that can begin, with a fix", async () => {
    const { scripts } = z
      .object({ scripts: z.object({ start: z.string() }) })
      .parse(JSON.parse(readFileSync("package.json", "utf8")));
    const [node, main, ...args] = scripts.start.split(" ");
    expect([node, main, args[0]]).toEqual(["node", "dist/cli/main.js", "study"]);
    const { code, stdout } = await capture(...args, "--dry-run", "--json");
    expect(code).toBe(0);
    const document: unknown = JSON.parse(stdout);
    expect(document).toMatchObject({ config: { fix: { at: { weightBits: 4, activationBits: 4 } } } });
    expect(document).toHaveProperty("trials.14", "thread_W2A3_seed0");
  });

  it("shows what a resumed study would train, and trains nothing", async () => {
    const folder = temporaryFolder();
    const args = [...small, "--weight-bits", "4", "--activation-bits", "4", "--no-report", "--out", folder];
    expect((await capture("study", ...args)).code).toBe(0);
    const state = async () => JSON.parse((await capture("study", "--resume", folder, "--dry-run", "--json")).stdout);
    expect(await state()).toMatchObject({ toTrain: [] });
    const [trial = ""] = readdirSync(join(folder, "trials")).filter((name) => !name.startsWith("."));
    rmSync(join(folder, "trials", trial), { recursive: true });
    expect(await state()).toMatchObject({ toTrain: [trial] });
    expect(existsSync(join(folder, "trials", trial))).toBe(false);
    const { code, stdout } = await capture("study", "--resume", folder, "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("would train 1 of 2 trials");
  }, 120_000);

  it("prints the trials, with levels and costs, and stops", async () => {
    const { code, stdout } = await capture(
      "study",
      "--dry-run",
      ...small,
      "--recipes",
      "thread",
      "--activation-bits",
      "4,1",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/thread_W8A4_seed0 │ +256 │ +8 │/);
    expect(stdout).toMatch(/thread_W8A1_seed0.*leave 1 level/);
  });

  it("trains, reports, names impossible cells, and resumes", async () => {
    const folder = join(temporaryFolder(), "study");
    const grid = ["--weight-bits", "4", "--activation-bits", "4,1", "--recipes", "thread"];
    const first = await capture("study", ...small, ...grid, "--out", folder, "--json");
    // No progress: only what is certain of a trial while it trains, one line at a time.
    const reported = first.stderr.trim().split("\n");
    expect(
      reported.filter((line) => !/^(float|thread_W4A4_seed0), step 0: .+ %\)(, and \d+ more)?$/.test(line)),
    ).toEqual([]);
    expect(reported.some((line) => line.startsWith("thread_W4A4_seed0, "))).toBe(true);
    const document: unknown = JSON.parse(first.stdout);
    expect(document).toMatchObject({ schemaVersion: 1, counts: { finished: 1, impossible: 1, failed: 0 } });
    expect(process.exitCode).toBe(1);
    const page = readFileSync(join(folder, "report", "report.html"), "utf8");
    expect(page).toContain("thread_W4A1_seed0");
    const again = await capture("study", "--resume", folder, "--no-report");
    expect(again.stderr).toContain(`resuming the study in ${folder}: 2 trainings, 2 of them done`);
    expect(again.stdout).toMatch(/│ W4 +│ +\d+\.\d \(8\) │ impossible │/);
    expect(again.stdout).toContain("thread_W4A1_seed0 impossible: ");
  }, 60_000);

  it("ends a trial at a finding that is certain, as failed with the finding as its reason", async () => {
    const folder = join(temporaryFolder(), "study");
    const grid = ["--weight-bits", "4", "--activation-bits", "4", "--recipes", "thread", "--set", "float=null"];
    const alone = small.filter(
      (_, i) => i < small.indexOf("--float-epochs") || i > small.indexOf("--float-epochs") + 1,
    );
    const { stdout } = await capture("study", ...alone, ...grid, "--stop-on-fault", "--out", folder, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      counts: { finished: 0, failed: 1 },
      trials: [{ status: "failed", reason: expect.stringMatching(/^stopped at step 0: .+ \(confidence \d+ %\)$/) }],
    });
    expect(process.exitCode).toBe(1);
  }, 60_000);

  it("takes a model's file and data by paths next to the configuration, also in its trials", async () => {
    const folder = temporaryFolder();
    const network = makeModel("mlp", { sampleShape: [1, 28, 28], classes: 10, width: 8 }, randomStream(5, "weights"));
    writeFileSync(join(folder, "mine.onnx"), exportOnnx(network));
    const file = join(folder, "study.yaml");
    writeFileSync(
      file,
      `{model: {file: mine.onnx}, data: {trainLimit: 128, testLimit: 64}, train: {epochs: 1, batchSize: 32},
        float: {epochs: 1}, weightBits: [4], activationBits: [4], recipes: [lsq], threads: 1}`,
    );
    const out = join(folder, "out");
    const { stdout } = await capture("study", file, "--out", out, "--json", "--no-report");
    expect(JSON.parse(stdout)).toMatchObject({
      counts: { finished: 1, failed: 0 },
      start: { name: "mine.onnx", accuracy: expect.any(Number) },
    });
    const text = await capture("study", file, "--out", out, "--no-report");
    expect(text.stderr).toMatch(/mine\.onnx: accuracy \d+\.\d\d % on the 64 test images, before the training/);
    expect(text.stdout).toMatch(/mine\.onnx \d+\.\d\d %; trained in float \d+\.\d\d %; lsq W4A4 \d+\.\d\d %/);
    // The next study starts from that float network, and needs to be reported nothing about it.
    const from = join(out, "float");
    const dry = await capture("study", "--from", from, "--dry-run", "--json");
    expect(JSON.parse(dry.stdout)).toMatchObject({
      config: { model: { file: join(folder, "mine.onnx") }, data: { trainLimit: 128 }, float: { from } },
    });
    const trained = await capture("train", "--from", from, "--dry-run", "--json");
    expect(JSON.parse(trained.stdout)).toMatchObject({ config: { model: { file: join(folder, "mine.onnx") } } });
  }, 60_000);

  it("reports a cell whose run cannot be written, does the rest, and says so with its exit code", async () => {
    const folder = join(temporaryFolder(), "study");
    const grid = ["--weight-bits", "4,2", "--activation-bits", "4", "--recipes", "lsq"];
    const command = ["study", ...small, ...grid, "--out", folder, "--json", "--no-report"];
    await capture(...command);
    // A file is where the trial's folder should be.
    const trial = join(folder, "trials", "lsq_W4A4_seed0");
    rmSync(trial, { recursive: true });
    writeFileSync(trial, "");
    const { stdout } = await capture(...command);
    const document: unknown = JSON.parse(stdout);
    expect(document).toMatchObject({
      counts: { finished: 1, failed: 1 },
      trials: [{ status: "failed", accuracy: null }, { status: "finished" }],
    });
    expect(process.exitCode).toBe(1);
  }, 60_000);
});
