import { describe, expect, it } from "vitest";
import { noiseOf, requireRemedies } from "../../../src/diagnose/remedy/trial.ts";
import {
  type Counterfactual,
  confidenceAfter,
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

describe("the confidence after a check", () => {
  it("rises with the difference, and is unchanged at half of the noise", () => {
    for (const prior of [0.05, 0.3, 0.6, 0.9]) {
      expect(confidenceAfter(prior, 0.05, 0.1)).toBeCloseTo(prior, 12);
      const after = [-0.3, -0.02, 0, 0.02, 0.05, 0.08, 0.1, 0.12].map((difference) =>
        confidenceAfter(prior, difference, 0.1),
      );
      expect([...after].sort((a, b) => a - b)).toEqual(after);
      expect(Math.min(...after)).toBeGreaterThan(0);
      expect(Math.max(...after)).toBeLessThan(1);
    }
  });

  it("changes the odds by the likelihood ratio, at most twentyfold", () => {
    const odds = (p: number) => p / (1 - p);
    expect(odds(confidenceAfter(0.5, 0.1, 0.1))).toBeCloseTo(Math.exp(2), 9);
    expect(odds(confidenceAfter(0.5, 0, 0.1))).toBeCloseTo(Math.exp(-2), 9);
    expect(odds(confidenceAfter(0.5, 5, 0.1))).toBeCloseTo(20, 9);
    expect(odds(confidenceAfter(0.5, -5, 0.1))).toBeCloseTo(1 / 20, 9);
    // A finding that was certain can be doubted all the same.
    expect(confidenceAfter(1, -5, 0.1)).toBeLessThan(0.75);
    expect(confidenceAfter(0, 5, 0.1)).toBeGreaterThan(0.25);
  });

  it("comes with a verdict, and is evidence of the finding", () => {
    expect([0.2, 0.1, 0.05, 0, -0.1].map((difference) => verdictOn(difference, 0.1))).toEqual([
      "confirmed",
      "confirmed",
      "undecided",
      "contradicted",
      "contradicted",
    ]);
    const result = verified(finding, check);
    expect(result.verdict).toBe("confirmed");
    expect(result.finding.confidence).toBeGreaterThan(0.95);
    expect(result.finding.evidence[0]).toMatchObject({ value: 0.613 - 0.124, supports: true });
    const without = verified(finding, { ...check, remedied: 0.12 });
    expect(without.finding.confidence).toBeLessThan(0.2);
    expect(without.finding.evidence[0]?.supports).toBe(false);
  });
});

describe("the findings after a check", () => {
  const of = (cause: string, confidence: number): Finding => ({ ...finding, cause, confidence });
  const all = [of("a", 0.8), of("b", 0.6), of("c", 0.5)];

  it("come in the order of their confidence, those that were not checked as they were", () => {
    const results = new Map([
      ["a", { ...check, remedied: check.control }],
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

  it("begin with the one whose remedy won most where two are as certain", () => {
    const alike = [of("a", 0.601), of("b", 0.6)];
    const won = (cause: string) => ({ ...check, remedied: cause === "b" ? 0.9 : 0.6 });
    const { findings } = withChecks(alike, ({ cause }) => won(cause));
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
