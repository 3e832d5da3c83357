/** A small fixed part of the battery, and how it draws and scores. bench/diagnosis/battery.ts runs it all. @slow */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { drawPlan, type Plan } from "./plan.ts";
import { changedSettings, type Outcome, runPlan } from "./run.ts";
import { isHarmful, isMiss, isSound, isWrong, placeOf, scoreOf, wrongConfidence } from "./score.ts";

const folder = mkdtempSync(join(tmpdir(), "subbyte-battery-"));
const shop = { folder: join(folder, "files"), engine: nodeEngine({ threads: 1 }) };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The networks whose runs take a second or two. */
const small = ["mlp", "waves"];

/** The first plan of a seed with this kind of fault, or none, on a small network. */
function planOf(kind: string | undefined): Plan {
  for (let number = 0; number < 2000; number++) {
    if ((number % 2 === 1) === (kind === undefined)) continue;
    const plan = drawPlan(11, number, ({ name }) => name === kind);
    if (small.includes(plan.base.name)) return plan;
  }
  return expect.fail(`no plan for ${kind}`);
}

function outcome(change: Partial<Outcome>): Outcome {
  return {
    id: "1/1",
    base: "mlp",
    family: "perceptron",
    preset: "lsq",
    bits: "W4A4",
    kind: null,
    severity: 0,
    float: 0.9,
    reference: 0.9,
    accuracy: 0.9,
    diverged: false,
    findings: [],
    remedied: null,
    seconds: 1,
    ...change,
  };
}

function finding(cause: string, confidence: number): Outcome["findings"][number] {
  return { cause, confidence, title: cause, layers: [], remedy: null };
}

it("a key that a remedy changes takes the keys under it away", () => {
  const settings = { "train.distillation.teacher": "run", "train.distillation": { weight: 1 }, "train.epochs": 2 };
  expect(changedSettings(settings, { "train.distillation": null })).toEqual({
    "train.distillation": null,
    "train.epochs": 2,
  });
});

describe("a plan of the battery", () => {
  it("is the same for the same seed and number, and has a fault where the number is odd", () => {
    for (let number = 0; number < 40; number++) {
      const plan = drawPlan(3, number);
      expect({ ...drawPlan(3, number), base: plan.base.name }).toEqual({ ...plan, base: plan.base.name });
      expect(plan.fault === undefined).toBe(number % 2 === 0);
    }
  });
});

describe("the score", () => {
  it("counts a fault that costs less than 3 points as a healthy run, and a run without a fault far from float not at all", () => {
    const noisy = { kind: "noisy labels" };
    expect(isHarmful(outcome({ ...noisy, accuracy: 0.88 }))).toBe(false);
    expect(isHarmful(outcome({ ...noisy, accuracy: 0.8 }))).toBe(true);
    expect(isSound(outcome({ reference: 0.7, accuracy: 0.7 }))).toBe(false);
    const accused = outcome({ ...noisy, accuracy: 0.88, findings: [finding("noisy-labels", 0.9)] });
    expect(scoreOf([accused]).accused).toMatchObject({ count: 1, of: 1 });
  });

  it("finds the place of the right cause, and calls only a confident other one wrong", () => {
    const of = (...findings: Outcome["findings"]) => outcome({ kind: "noisy labels", accuracy: 0.6, findings });
    expect(placeOf(of(finding("capacity", 0.5), finding("noisy-labels", 0.4)))).toBe(2);
    expect(placeOf(of())).toBe(0);
    expect(isWrong(of(finding("capacity", 0.5)))).toBe(false);
    expect(isWrong(of(finding("capacity", 0.7), finding("noisy-labels", 0.65)))).toBe(true);
  });
});

describe("a miss", () => {
  it("is a harmful fault that is not first, or a healthy run that is accused; the wrong finding says how hard it is", () => {
    const of = (...findings: Outcome["findings"]) => outcome({ kind: "noisy labels", accuracy: 0.6, findings });
    const second = of(finding("capacity", 0.5), finding("noisy-labels", 0.4));
    expect(isMiss(second)).toBe(true);
    expect(wrongConfidence(second)).toBe(0.5);
    expect(isMiss(of(finding("noisy-labels", 0.4), finding("capacity", 0.3)))).toBe(false);
    expect(isMiss(of())).toBe(true);
    expect(wrongConfidence(of())).toBe(0);
    expect(isMiss(outcome({ findings: [finding("capacity", 0.59)] }))).toBe(false);
    expect(isMiss(outcome({ findings: [finding("capacity", 0.6)] }))).toBe(true);
    // What is true of a harmful fault is wrong of a harmless one.
    const harmless = outcome({ kind: "noisy labels", findings: [finding("noisy-labels", 0.7)] });
    expect(wrongConfidence(harmless)).toBe(0.7);
  });
});

describe("the fixed part of the battery", () => {
  it.each([
    "learning rate too high",
    "weight decay on the scales",
    "test labels in another order",
    "weights never quantized in training",
    "imbalanced classes",
  ])(
    "%s is the first or the second finding",
    async (kind) => {
      const result = await runPlan(shop, planOf(kind), { remedy: false });
      expect(isHarmful(result)).toBe(true);
      expect([1, 2], JSON.stringify(result.findings)).toContain(placeOf(result));
    },
    120_000,
  );

  it("accuses no healthy run", async () => {
    const result = await runPlan(shop, planOf(undefined), { remedy: false });
    expect(result.findings.filter(({ confidence }) => confidence >= 0.6)).toEqual([]);
  }, 120_000);
});
