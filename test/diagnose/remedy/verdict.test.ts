import { describe, expect, it } from "vitest";
import { noiseOf, requireRemedies } from "../../../src/diagnose/remedy/trial.ts";
import {
  type Counterfactual,
  confidenceAfter,
  shiftOf,
  verdictOn,
  verified,
  withChecks,
} from "../../../src/diagnose/remedy/verdict.ts";
import type { Finding } from "../../../src/runs/finding.ts";

const finding: Finding = {
  cause: "learning-rate-too-high",
  title: "The learning rate is too high",
  layers: [],
  evidence: [],
  confidence: 0.6,
  remedy: { title: "lower the learning rate", changes: { "train.optimizer.learningRate": 0.01 } },
};
const check: Counterfactual = {
  before: 0.12,
  remedied: 0.613,
  control: 0.124,
  steps: 60,
  restarted: false,
  samples: 1000,
};

describe("the noise of a difference of accuracies", () => {
  it("is two standard errors, and at least a point", () => {
    expect(noiseOf(0.5, 0.5, 200)).toBeCloseTo(2 * Math.sqrt(0.5 / 200), 9);
    expect(noiseOf(0.9, 0.9, 1e6)).toBe(0.01);
    // 0 of 20 is not known exactly.
    expect(noiseOf(0, 0, 20)).toBeGreaterThan(0.1);
    for (const samples of [10, 100, 1000]) {
      expect(noiseOf(0.7, 0.4, samples)).toBeCloseTo(noiseOf(0.4, 0.7, samples), 12);
      expect(noiseOf(0.7, 0.4, samples * 4)).toBeLessThan(noiseOf(0.7, 0.4, samples));
    }
  });
});

/** A check in which the remedy wins a share of what the control misses to 90 %. */
function winning(share: number, change: Partial<Counterfactual> = {}): Counterfactual {
  const { control, goal = 0.9, ...rest } = { ...check, control: 0.3, ...change };
  return { ...rest, control, goal, remedied: control + share * (goal - control) };
}

describe("the confidence after a check", () => {
  it("rises with the share of the missing accuracy that the remedy wins back, within the bounds of the odds", () => {
    for (const prior of [0.05, 0.3, 0.6, 0.9]) {
      const after = [0, 0.2, 0.3, 0.4, 0.45, 0.5, 0.7, 1].map((share) =>
        confidenceAfter(prior, shiftOf(winning(share))),
      );
      expect([...after].sort((a, b) => a - b)).toEqual(after);
      expect(after[4]).toBeCloseTo(prior, 9);
      expect(after[0]).toBeLessThan(prior);
    }
    const odds = (p: number) => p / (1 - p);
    expect(odds(confidenceAfter(0.5, shiftOf(winning(0.9))))).toBeCloseTo(5, 9);
    expect(odds(confidenceAfter(0.5, shiftOf(winning(0))))).toBeCloseTo(1 / 9, 9);
    // A remedy that does harm, or diverges, is wrong itself.
    expect(odds(confidenceAfter(0.5, shiftOf(winning(-0.4))))).toBeCloseTo(1 / 3, 9);
    // A finding that was certain can be doubted all the same.
    expect(confidenceAfter(1, shiftOf(winning(0)))).toBeLessThan(0.95);
    expect(confidenceAfter(0, shiftOf(winning(1)))).toBeCloseTo(0.1 / 1.08, 9);
  });

  it("hardly changes where the noise is as large as what is missing, and does not rise by a gain within it", () => {
    for (const samples of [100, 1000, 10_000]) {
      const control = 0.88;
      const noise = noiseOf(control, control, samples);
      const at = (gain: number) => ({ ...check, control, remedied: control + gain, goal: 0.88, samples });
      expect(Math.abs(shiftOf(at(0)))).toBeLessThan(1);
      expect(shiftOf(at(noise * 0.6))).toBeLessThanOrEqual(0);
      // A run that misses nothing is not accused by luck.
      expect(shiftOf({ ...at(noise * 1.1), before: control })).toBeLessThanOrEqual(0);
      expect(shiftOf({ ...at(noise * 1.1), before: control - 2 * noise })).toBeGreaterThan(0);
    }
  });

  it("does not need a known goal", () => {
    const { goal: _none, ...open } = winning(0.8);
    expect(shiftOf(open)).toBeGreaterThan(1);
    expect(shiftOf({ ...open, remedied: open.control })).toBeLessThan(0);
  });

  it("comes with a verdict, and is evidence of the finding", () => {
    expect([0.9, 0.5, 0.3, 0, -0.2].map((share) => verdictOn(winning(share)))).toEqual([
      "confirmed",
      "confirmed",
      "undecided",
      "contradicted",
      "contradicted",
    ]);
    const result = verified(finding, check);
    expect(result.verdict).toBe("confirmed");
    expect(result.finding.confidence).toBeCloseTo(7.5 / 8.5, 9);
    expect(result.finding.evidence[0]).toMatchObject({ value: 0.613 - 0.124, supports: true });
    const without = verified(finding, { ...check, remedied: 0.12, goal: 0.8 });
    expect(without.finding.confidence).toBeLessThan(0.25);
    expect(without.finding.evidence[0]?.supports).toBe(false);
  });
});

describe("the findings after a check", () => {
  const of = (cause: string, confidence: number): Finding => ({ ...finding, cause, confidence });
  const all = [of("a", 0.8), of("b", 0.6), of("c", 0.5)];

  it("come in the order of their confidence, those that were not checked as they were", () => {
    const results = new Map([
      ["a", { ...check, remedied: check.control, goal: 0.8 }],
      ["b", check],
    ]);
    const { findings, checks } = withChecks(all, ({ cause }) => results.get(cause));
    expect(findings.map(({ cause }) => cause)).toEqual(["b", "c", "a"]);
    expect(findings[1]).toBe(all[2]);
    expect(checks.map(({ finding: { cause }, verdict }) => [cause, verdict])).toEqual([
      ["a", "contradicted"],
      ["b", "confirmed"],
    ]);
    expect(withChecks(all, () => undefined)).toEqual({ findings: all, checks: [] });
  });

  it("raise the more certain one alone where the remedies of two win alike, and the other where its own wins more", () => {
    const two = [of("a", 0.7), of("b", 0.5)];
    const alike = withChecks(two, () => winning(0.9));
    expect(alike.findings.map(({ cause }) => cause)).toEqual(["a", "b"]);
    expect(alike.findings[0]?.confidence).toBeCloseTo((5 * 7) / (5 * 7 + 3), 9);
    expect(alike.findings[1]?.confidence).toBeCloseTo(0.5, 12);
    const { findings } = withChecks(two, ({ cause }) => winning(cause === "b" ? 0.9 : 0.4));
    expect(findings.map(({ cause }) => cause)).toEqual(["b", "a"]);
    expect(findings[0]?.confidence).toBeGreaterThan(0.8);
  });

  it("are measured by what another remedy reached where no goal is known", () => {
    const useless = { ...check, remedied: check.control };
    const alone = withChecks(all, ({ cause }) => (cause === "a" ? useless : undefined));
    const next = withChecks(all, ({ cause }) => (cause === "a" ? useless : check));
    const confidence = ({ findings }: typeof alone) => findings.find(({ cause }) => cause === "a")?.confidence;
    expect(confidence(next)).toBeLessThan((confidence(alone) ?? 0) - 0.1);
  });

  it("begin with the one whose remedy won most where two are as certain", () => {
    const near = [of("a", 0.601), of("b", 0.6)];
    const lost = (cause: string) => winning(cause === "b" ? -0.2 : -0.4);
    const { findings } = withChecks(near, ({ cause }) => lost(cause));
    expect(findings.map(({ cause }) => cause)).toEqual(["b", "a"]);
  });
});

describe("a run without a remedy to try", () => {
  const high = { ...finding, confidence: 0.9 };

  it("is refused with the reason", () => {
    expect(() => requireRemedies("runs/a", false, [finding])).toThrow(/not finished/);
    expect(() => requireRemedies("runs/a", true, [])).toThrow(/no findings/);
    const data = { ...high, title: "Labels are wrong", remedy: { title: "correct the labels", changes: {} } };
    expect(() => requireRemedies("runs/a", true, [data, { ...finding, confidence: 0.5 }])).toThrow(
      /no configuration repairs/,
    );
    expect(() => requireRemedies("runs/a", true, [{ ...finding, remedy: null }])).toThrow(/no configuration repairs/);
  });

  it("is not one whose first finding is weak and whose second has a remedy", () => {
    expect(() =>
      requireRemedies("runs/a", true, [{ ...finding, confidence: 0.4, remedy: null }, finding]),
    ).not.toThrow();
    expect(() => requireRemedies("runs/a", true, [{ ...high, remedy: null }, finding])).not.toThrow();
  });
});
