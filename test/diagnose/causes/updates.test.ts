/** What updates of parameters and of running statistics have to show before they are accused. */
import { describe, expect, it } from "vitest";
import { type CauseName, diagnose } from "../../../src/diagnose/diagnose.ts";
import { factsOf } from "../../../src/diagnose/facts.ts";
import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { filled } from "../../../src/ir/tensor.ts";
import { highConfidence } from "../../../src/runs/finding.ts";
import type { TrainingRecipe } from "../../../src/train/loop/recipe.ts";
import { onnxModel } from "../../support/onnx/model.ts";
import { examination, facts, factsOfRecipe, layer, record, records, weightMeasurement } from "../synthetic.ts";

function confidenceOf(cause: CauseName, input: DiagnosisInput): number {
  return diagnose(input).find((finding) => finding.cause === cause)?.confidence ?? 0;
}

const adam = { name: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** A run whose weights have gradients of norm 1, and how far they went. */
function clippedRun(recipe: Partial<TrainingRecipe>, distance = 0.001): DiagnosisInput {
  return {
    facts: { ...factsOfRecipe(recipe), trainedElements: 10_000 },
    records: records({ weights: [weightMeasurement({ gradientNorm: 1, distance })] }),
  };
}

describe("a limit on the gradients", () => {
  const confidence = (recipe: Partial<TrainingRecipe>, distance?: number) =>
    confidenceOf("gradient-clip-too-tight", clippedRun(recipe, distance));

  it("is accused where it leaves next to nothing and the weights stay", () => {
    expect(confidence({ gradientClip: 1e-3 })).toBeGreaterThanOrEqual(highConfidence);
    expect(confidence({ gradientClip: 1e-3 })).toBeGreaterThan(confidence({ gradientClip: 0.15 }));
  });

  it("is none where there is none, where it is near the norm, and where the weights move", () => {
    expect(confidence({})).toBe(0);
    for (const gradientClip of [0.3, 1, 10]) expect(confidence({ gradientClip })).toBe(0);
    expect(confidence({ gradientClip: 1e-3 }, 0.2)).toBe(0);
  });

  it("changes nothing with Adam, until ε outweighs what is left", () => {
    expect(confidence({ optimizer: adam, gradientClip: 1e-3 })).toBe(0);
    expect(confidence({ optimizer: adam, gradientClip: 1e-8 })).toBeGreaterThanOrEqual(highConfidence);
    expect(confidence({ optimizer: { ...adam, epsilon: 1e-3 }, gradientClip: 1e-3 })).toBeGreaterThan(0.5);
  });

  it("explains the rate that looks too low, and is raised to the norm", () => {
    const [first, ...others] = diagnose(clippedRun({ gradientClip: 1e-3 }));
    expect(first?.cause).toBe("gradient-clip-too-tight");
    expect(first?.remedy?.changes).toEqual({ "train.optimizer.gradientClip": 1 });
    for (const other of others) expect(other.confidence).toBeLessThan(highConfidence);
  });

  it("counts the weights of all layers", () => {
    const gradientNorm = 0.1;
    const weights = Array.from({ length: 100 }, (_, i) =>
      weightMeasurement({ name: `${layer}.${i}`, gradientNorm, distance: 0.001 }),
    );
    const input = { ...clippedRun({ gradientClip: 0.1 }), records: records({ weights }) };
    expect(confidenceOf("gradient-clip-too-tight", input)).toBeGreaterThan(0.5);
  });
});

describe("the momentum of running statistics", () => {
  const confidence = (kept: number, change: Partial<DiagnosisInput> = {}) =>
    confidenceOf("batch-norm-momentum", {
      facts: { ...factsOfRecipe({}), batchNorms: [{ name: "bn1", kept }] },
      records: records({ runningLoss: 0.6 }),
      ...change,
    });

  it("is accused at both ends, and not at the usual ones", () => {
    for (const kept of [0, 0.05, 0.9999, 1]) expect(confidence(kept), `${kept}`).toBeGreaterThanOrEqual(highConfidence);
    for (const kept of [0.5, 0.8, 0.9, 0.99]) expect(confidence(kept), `${kept}`).toBe(0);
  });

  it("is certain only where the statistics cost something", () => {
    const harmless = { records: records({ runningLoss: 0.4 }), examination: examination() };
    for (const kept of [0, 1]) expect(confidence(kept, harmless)).toBeLessThan(highConfidence);
    const poor = { quantized: { accuracy: 0.6, loss: 1 }, reestimated: { accuracy: 0.8, loss: 0.5 } };
    expect(confidence(1, { ...harmless, examination: examination(poor) })).toBeGreaterThanOrEqual(highConfidence);
  });

  it("does not matter where statistics are frozen, or estimated again before each evaluation", () => {
    const frozen = [0, 320, 640].map((step) => record(step, { batchNorm: "running", runningLoss: 0.9 }));
    expect(confidence(1, { records: frozen })).toBe(0);
    const recipe = factsOfRecipe({ reestimateBatchNormBatches: 50 });
    expect(confidence(1, { facts: { ...recipe, batchNorms: [{ name: "bn1", kept: 1 }] } })).toBe(0);
  });

  it.each([
    [{}, 0.9],
    [{ momentum: { float: 1 } }, 1],
    [{ momentum: { float: 0 } }, 0],
  ] as const)("is read from the model's file (%o)", (attributes, kept) => {
    const channels = filled([3], 1);
    const file = onnxModel({
      nodes: [["BatchNormalization", ["x", "scale", "shift", "mean", "variance"], ["y"], attributes]],
      inputs: { x: ["N", 3, 4, 4] },
      initializers: { scale: channels, shift: channels, mean: channels, variance: channels },
      outputs: ["y"],
    });
    expect(factsOf(importOnnx(file)).batchNorms?.map((norm) => norm.kept)).toEqual([kept]);
  });

  it("says nothing of a network whose normalizations are not known", () => {
    expect(confidenceOf("batch-norm-momentum", { facts: facts(), records: records({ runningLoss: 0.9 }) })).toBe(0);
  });
});
