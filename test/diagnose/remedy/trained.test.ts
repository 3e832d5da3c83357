/** Remedies of one run that are really trained: a learning rate at which nothing is learned, and a change without effect. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diagnoseRun, type RunDiagnosis } from "../../../src/diagnose/diagnose-run.ts";
import { fixRun } from "../../../src/diagnose/remedy/fix-run.ts";
import { verifyRun } from "../../../src/diagnose/remedy/verify-run.ts";
import { InterruptedError } from "../../../src/errors.ts";
import type { Finding, Remedy } from "../../../src/runs/finding.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { type RunListeners, startRun } from "../../../src/train/run.ts";
import { capture } from "../../support/machine/capture.ts";
import { tinyConfig } from "../../support/training/tiny-run.ts";

const finding = (cause: string, confidence: number, changes: Remedy["changes"]): Finding => ({
  cause,
  title: cause,
  layers: [],
  evidence: [],
  confidence,
  remedy: { title: cause, changes },
});
/** Without batch normalization, its learning rate changes nothing. */
const useless = finding("useless", 0.8, { "train.optimizer.groups.batchNorm.learningRateScale": 2 });
const rate = finding("rate", 0.5, { "train.optimizer.learningRate": 0.05 });

const bad = {
  model: { name: "mlp" },
  train: { epochs: 3, batchSize: 32, optimizer: { learningRate: 1e-6 } },
  quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
};

let parent: string;
let diagnosis: RunDiagnosis;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "subbyte-test-"));
  const { paths } = await startRun({ config: tinyConfig(bad), parent, name: "bad" });
  const engine = nodeEngine({ threads: 1 });
  diagnosis = { ...(await diagnoseRun(paths.folder, { engine, probe: false })), findings: [useless, rate] };
}, 60_000);
afterAll(() => rm(parent, { recursive: true, force: true }));

describe("the remedies of a run", () => {
  it("are trained until it is fixed, kept where they help, and never trained twice", async () => {
    const steps: string[] = [];
    let started = 0;
    const listeners = (): RunListeners => ({ onStart: () => started++ });
    const fix = await fixRun(diagnosis, {
      onTraining: listeners,
      onStep: ({ title, kept }) => steps.push(`${title} ${kept}`),
    });
    expect(steps).toEqual(["useless false", "rate true"]);
    expect(fix.after).toBeGreaterThan(fix.before + 0.2);
    expect(fix.changes).toEqual(rate.remedy?.changes);
    expect(existsSync(join(fix.folder ?? "", "summary.json"))).toBe(true);
    expect(started).toBe(2);
    expect(await fixRun(diagnosis, { onTraining: listeners })).toEqual(fix);
    expect(started).toBe(2);
  }, 60_000);

  it("are stopped and resumed by the same call", async () => {
    const stopped = { ...diagnosis, findings: [finding("other", 0.9, { "train.optimizer.learningRate": 0.02 })] };
    const controller = new AbortController();
    const stopping = () => ({
      signal: controller.signal,
      onStep: ({ step }: { readonly step: number }) => step === 3 && controller.abort(),
    });
    await expect(fixRun(stopped, { onTraining: stopping })).rejects.toThrow(InterruptedError);
    let from: number | undefined;
    const resumed = await fixRun(stopped, {
      onTraining: () => ({
        onStart: ({ step }) => {
          from = step;
        },
      }),
    });
    expect(from).toBe(3);
    expect(resumed.after).toBeGreaterThan(resumed.before + 0.1);
  }, 60_000);

  it("are checked against a control of the same length, which changes the order of the findings", async () => {
    const titles: string[] = [];
    const { findings, checks } = await verifyRun(diagnosis, {
      onTraining: (title) => {
        titles.push(title);
        return {};
      },
    });
    expect(titles).toEqual(["control", "useless", "rate"]);
    expect(checks.map(({ finding: { cause }, verdict }) => [cause, verdict])).toEqual([
      ["useless", "contradicted"],
      ["rate", "confirmed"],
    ]);
    expect(checks[0]?.check).toMatchObject({ steps: 56, restarted: false, samples: 100 });
    expect(checks[0]?.check.remedied).toBe(checks[0]?.check.control);
    expect(findings.map(({ cause }) => cause)).toEqual(["rate", "useless"]);
    // Five times the odds of 0.5, and a ninth of those of 0.8.
    expect(findings[0]?.confidence).toBeCloseTo(5 / 6, 9);
    expect(findings[1]?.confidence).toBeCloseTo(4 / 13, 9);
  }, 60_000);

  it("begin where the run began if the cause acts there, and have their whole length if that is the remedy", async () => {
    const start = finding("random-start", 0.9, { "train.optimizer.learningRate": 0.05 });
    const longer = finding("too-few-steps", 0.8, { "train.epochs": 4 });
    const { checks } = await verifyRun({ ...diagnosis, findings: [start, longer] });
    expect(checks.map(({ check }) => [check.restarted, check.steps])).toEqual([
      [true, 56],
      [true, 32],
    ]);
    expect(checks[1]?.check.control).toBe(checks[1]?.check.before);
  }, 60_000);

  it("begin where the run began if that was with a float run, whose accuracy is what is missing", async () => {
    const train = { ...bad.train, epochs: 1 };
    const float = { ...bad, train: { ...train, epochs: 3, optimizer: { learningRate: 0.05 } }, quantization: null };
    const { paths: origin } = await startRun({ config: tinyConfig(float), parent, name: "origin" });
    const config = tinyConfig({ ...bad, train, from: origin.folder });
    const { paths } = await startRun({ config, parent, name: "from-float" });
    const engine = nodeEngine({ threads: 1 });
    const { checks } = await verifyRun({
      ...(await diagnoseRun(paths.folder, { engine, probe: false })),
      findings: [useless],
    });
    expect(checks[0]?.check).toMatchObject({ restarted: true, goal: expect.any(Number) });
  }, 60_000);

  it("are offered by the command, which prints each gain and the command at the end", async () => {
    const optimizer = { learningRate: 0.05, groups: { weights: { learningRateScale: 0 } } };
    const frozen = { ...bad, train: { ...bad.train, epochs: 6, optimizer } };
    const { paths } = await startRun({ config: tinyConfig(frozen), parent, name: "frozen" });
    const { code, stdout } = await capture("diagnose", paths.folder, "--fix", "--verify", "--threads", "1", "-q");
    expect(code).toBe(0);
    expect(stdout).toMatch(/ % → .* % in \d+ steps.*, control .* %: (?:confirmed|undecided|contradicted)/);
    expect(stdout).toMatch(/^ {2}.*: \d+\.\d % → \d+\.\d %, (?:kept|no help)$/m);
    expect(stdout).toMatch(/^ {2}subbyte train --config .*frozen\/config\.yaml .*--name frozen-fixed/m);

    const float = tinyConfig({ ...bad, quantization: null });
    const { paths: other } = await startRun({ config: float, parent, name: "float" });
    await rm(other.summary);
    const refused = await capture("diagnose", other.folder, "--fix", "--threads", "1");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("the run is not finished");
    expect(refused.stderr).toContain(`subbyte train --resume ${other.folder}`);
  }, 60_000);
});
