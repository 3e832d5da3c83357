/** The sentence on a run below float: what its quantizers cost, where nothing is misconfigured. */
import { describe, expect, it } from "vitest";
import { gapText } from "../../../src/cli/view/gap-text.ts";
import { sourceOfWeights } from "../../../src/diagnose/facts.ts";
import type { Ablation } from "../../../src/runs/ablation.ts";
import type { Finding } from "../../../src/runs/finding.ts";

const gap = { metric: "accuracy", accuracy: 0.8167, float: 0.8583, floatRun: "runs/float" } as const;
const ablation: Ablation = {
  metric: "accuracy",
  samples: 120,
  float: { accuracy: 0.85, loss: 0.5 },
  quantized: { accuracy: 0.8167, loss: 0.6 },
  weightsOnly: { accuracy: 0.85, loss: 0.5 },
  activationsOnly: { accuracy: 0.817, loss: 0.6 },
  layers: [],
};
const finding: Finding = { cause: "x", title: "x", layers: [], evidence: [], confidence: 0.5, remedy: null };

describe("a run below float", () => {
  it.each([
    [[], "nothing is misconfigured"],
    [[finding], "no finding is of high confidence"],
    [[{ ...finding, confidence: 0.9 }], "see the findings"],
  ])("with an ablation says what costs it (%#)", (findings, verdict) => {
    expect(gapText({ folder: "runs/w4a4", findings, ablation, gap })).toBe(
      "4.2 points below float (runs/float): 85.83 % → 81.67 %; activations alone cost 3.3 points, weights alone 0 points " +
        `(120 test samples); ${verdict}.`,
    );
  });

  it("without one names the command that says it, unless a finding explains it or it is close to float", () => {
    expect(gapText({ folder: "runs/w4a4", findings: [], gap })).toBe(
      "4.2 points below float (runs/float): 85.83 % → 81.67 %; nothing is misconfigured. What costs it: subbyte diagnose runs/w4a4 --ablate",
    );
    expect(gapText({ folder: "runs/w4a4", findings: [finding], gap })).toBeUndefined();
    expect(gapText({ folder: "runs/w4a4", findings: [], gap: { ...gap, accuracy: 0.857 } })).toBeUndefined();
    expect(gapText({ folder: "runs/w4a4", findings: [] })).toBeUndefined();
  });

  it("compares with the same weights where no float run is known, and shows an R² as one", () => {
    const regression: Ablation = { ...ablation, metric: "r2" };
    expect(gapText({ folder: "runs/w4a4", findings: [], ablation: regression })).toBe(
      "0.033 below the same weights in float: 0.8500 → 0.8167; activations alone cost 0.033, weights alone 0.000 (120 test samples); nothing is misconfigured.",
    );
    const better = { ...gap, accuracy: 0.87 };
    expect(gapText({ folder: "runs/w4a4", findings: [], ablation, gap: better })).toMatch(
      /^Not below float \(runs\/float\): 85\.83 % → 87\.00 %; /,
    );
  });
});

describe("the weights that a run begins with", () => {
  it("are a run's, a model's file's, or random", () => {
    expect(sourceOfWeights({ from: "runs/float", model: { name: "lenet" } })).toBe("runs/float");
    expect(sourceOfWeights({ model: { file: "mine.onnx", restoreBatchNorm: true } })).toBe("mine.onnx");
    expect(sourceOfWeights({ model: { name: "lenet" } })).toBeUndefined();
  });
});
