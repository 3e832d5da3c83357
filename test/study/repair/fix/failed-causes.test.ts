import { describe, expect, it } from "vitest";
import type { FixStep } from "../../../../src/diagnose/remedy/search.ts";
import type { Finding } from "../../../../src/runs/finding.ts";
import type { TrialRecord } from "../../../../src/study/plan/record.ts";
import { failedCauses, failedSentence, withFailedLowered } from "../../../../src/study/repair/fix/failed-causes.ts";
import { encodeFixes, type Fix } from "../../../../src/study/repair/fix/fix.ts";

const finding = (cause: string, confidence: number, key = cause): Finding => ({
  cause,
  title: cause,
  layers: [],
  evidence: [],
  confidence,
  remedy: { title: key, changes: { [key]: 1 } },
});
const step = (key: string, result: Partial<FixStep> = {}): FixStep => ({
  title: key,
  changes: { [key]: 1 },
  before: 0.5,
  after: 0.5,
  kept: false,
  redundant: false,
  subsumedBy: null,
  reason: "+0.0 points",
  ...result,
});
const fix = (trial: string, failed: Fix["failed"]): Fix => ({
  ...{ recipe: "thread", weightBits: 4, activationBits: 4, trial, before: 0.5, after: 0.8, goal: 0.85, steps: [] },
  ...(failed === undefined ? {} : { failed }),
});
const record = (id: string, findings: readonly Finding[]): TrialRecord => ({
  ...{ id, recipe: "thread", weightBits: 4, activationBits: 4, seed: 0, levels: { weights: 16, activations: 16 } },
  ...{ cost: null, layers: [], impossible: null, status: "finished", reason: null, accuracy: 0.5, bestAccuracy: 0.5 },
  ...{ loss: 1, epochs: [], findings, ablation: null },
  timing: { seconds: null, imagesPerSecond: null, peakMemoryBytes: null },
});

describe("a cause whose remedies all failed in a fix search", () => {
  it("is one of which every remedy was trained and did not help", () => {
    const findings = [finding("a", 0.9), finding("b", 0.8), finding("c", 0.7), finding("d", 0.6)];
    const steps = [step("a"), step("b", { kept: true }), step("c", { after: null }), step("d", { redundant: true })];
    expect(failedCauses(findings, steps).map(({ cause }) => cause)).toEqual(["a"]);
    // Never tried, because the others sufficed.
    expect(failedCauses(findings, [])).toEqual([]);
    const two = [finding("a", 0.9, "first"), finding("a", 0.5, "second")];
    expect(failedCauses(two, [step("first"), step("second", { kept: true })])).toEqual([]);
    expect(failedCauses(two, [step("first"), step("second")])).toHaveLength(1);
    expect(failedCauses([{ cause: "x", remedy: null }], steps)).toEqual([]);
  });

  it("is lowered in the other trials, and comes later there", () => {
    const findings = [finding("a", 0.9), finding("b", 0.6)];
    const records = [record("t1", findings), record("t2", findings)];
    const fixes = [fix("t1", [{ cause: "a", factor: 0.5 }]), fix("t3", undefined)];
    const [own, other] = withFailedLowered(records, fixes);
    expect(own?.findings).toEqual(findings);
    expect(other?.findings.map(({ cause, confidence }) => [cause, confidence])).toEqual([
      ["b", 0.6],
      ["a", 0.45],
    ]);
    const twice = withFailedLowered(records, [...fixes, fix("t3", [{ cause: "a", factor: 0.5 }])]);
    expect(twice[1]?.findings.at(-1)?.confidence).toBeCloseTo(0.225, 12);
    expect(withFailedLowered(records, [])).toEqual(records);
  });

  it("is named in a sentence, and kept in fix.json", () => {
    const found = fix("t1", [{ cause: "a", factor: 0.5 }]);
    expect(failedSentence(found)).toBe(
      "Remedies that failed here lower the confidence of their findings in the other trials: a (× 0.5).",
    );
    expect(failedSentence(fix("t1", undefined))).toBeUndefined();
    expect(JSON.parse(encodeFixes([found])).fixes[0].failed).toEqual([{ cause: "a", factor: 0.5 }]);
  });
});
