import { describe, expect, it } from "vitest";
import { findingsText } from "../../../src/cli/view/findings-text.ts";
import { expectationText } from "../../../src/cli/view/gap-text.ts";
import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import { examination, facts, history, records } from "../../diagnose/synthetic.ts";

const exam = (accuracy: number) => ({ accuracy, loss: 1 });

/** A W4A4 run of 512 examined test samples whose float run reached 90 %. */
function run(reached: number, parts: { float: number; weights: number; activations: number; reestimated?: number }) {
  const { float, weights, activations, reestimated = reached } = parts;
  const test = { quantized: exam(reached), reestimated: exam(reestimated), float: exam(float) };
  const input: DiagnosisInput = {
    facts: facts(),
    records: records(),
    epochs: [{ epoch: 10, trainLoss: 0.2, testLoss: 0.3, testAccuracy: reached }],
    examination: { ...examination(test), weightsOnly: exam(weights), activationsOnly: exam(activations) },
    history: history(0.9),
  };
  return input;
}

describe("the line about what a run may be expected to reach", () => {
  it.each([
    [
      "healthy",
      run(0.89, { float: 0.9, weights: 0.9, activations: 0.9 }),
      /^Float 90.00 %, this run 89.00 %, expected loss at these bits \d(\.\d)? points, ± 6 points by the number of test samples: as good as can be expected\.$/,
    ],
    ["better than float", run(0.91, { float: 0.9, weights: 0.9, activations: 0.9 }), /: not below float\.$/],
    [
      "activations",
      run(0.6, { float: 0.89, weights: 0.88, activations: 0.62 }),
      /^2[789](\.\d)? points are missing beyond the \d(\.\d)? points that these bits cost: float 90.00 %, this run 60.00 %\. Quantized weights alone cost 1 point, quantized activations alone 27 points: the activations are to blame\.$/,
    ],
    ["weights", run(0.6, { float: 0.89, weights: 0.6, activations: 0.88 }), /: the weights are to blame\.$/],
    ["both", run(0.6, { float: 0.89, weights: 0.7, activations: 0.72 }), /: both are to blame\.$/],
    [
      "training",
      run(0.3, { float: 0.31, weights: 0.3, activations: 0.3 }),
      /The same weights without quantizers reach only 31.00 %, so the training or the data is to blame\.$/,
    ],
    [
      "statistics",
      run(0.3, { float: 0.89, weights: 0.88, activations: 0.88, reestimated: 0.87 }),
      /estimated again it reaches 87.00 %: the running statistics are to blame\.$/,
    ],
  ])("%s", (_, input, text) => {
    expect(expectationText(input)).toMatch(text);
  });

  it("is not there for a network without quantizers, and where no accuracy is known", () => {
    const input = run(0.6, { float: 0.89, weights: 0.7, activations: 0.7 });
    expect(expectationText({ ...input, facts: facts([]) })).toBeUndefined();
    expect(expectationText({ facts: facts(), records: [] })).toBeUndefined();
  });
});

describe("a finding that is not certain", () => {
  const weak = {
    cause: "saturated",
    title: "Values are clipped",
    layers: [],
    evidence: [],
    confidence: 0.5,
    remedy: null,
  };

  it("says what it would gain at most, and a certain one does not", () => {
    const input = run(0.884, { float: 0.9, weights: 0.9, activations: 0.9 });
    const text = (confidence: number) =>
      findingsText([{ ...weak, confidence }], { verbose: false, records: records(), input });
    expect(text(0.5)[1]).toBe("1. Values are clipped (confidence 50 %, gains at most 1.6 points)");
    expect(text(0.7)[1]).toBe("1. Values are clipped (confidence 70 %)");
  });
});
