/** Top-1, top-5 and the measures of regression, against plain definitions. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { evaluate } from "../../../src/train/loop/evaluate.ts";
import { classificationMetrics, metricTotals } from "../../../src/train/loop/metrics.ts";

describe("classification", () => {
  it("top-1 and top-5 are those of the sorted outputs, the first of equals first", () => {
    const outputs = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(outputs, fc.nat(7), (logits, label) => {
        const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
        const { correct, correctTop5 } = classificationMetrics(float32Tensor([1, 8], logits), [label], 1);
        expect([correct, correctTop5]).toEqual([Number(order[0] === label), Number(order.indexOf(label) < 5)]);
      }),
    );
  });

  it("outputs that are not numbers are never right", () => {
    const logits = float32Tensor(
      [1, 6],
      Array.from({ length: 6 }, () => Number.NaN),
    );
    expect(classificationMetrics(logits, [0], 1)).toMatchObject({ correct: 0, correctTop5: 0 });
  });

  it("top-5 is reported with six classes or more", () => {
    const totals = (classes: number) => {
      const sum = metricTotals({ kind: "classes", classes: Array.from({ length: classes }, String) });
      sum.add(
        float32Tensor(
          [2, classes],
          Array.from({ length: 2 * classes }, (_, i) => -i),
        ),
        Int32Array.of(4, 0),
        2,
      );
      return sum.result();
    };
    expect(totals(6)).toMatchObject({ accuracy: 0.5, top5Accuracy: 1, count: 2 });
    expect(totals(5)).not.toHaveProperty("top5Accuracy");
  });
});

describe("regression", () => {
  it("mean squared and absolute error and R², whatever the batches", () => {
    const totals = metricTotals({ kind: "values", shape: [2] });
    const targets = [1e6, 0, 1e6 + 2, 4, 1e6 + 4, 8];
    const errors = [1, 0, -1, 2, 0, 0];
    const prediction = targets.map((target, i) => target + (errors[i] ?? 0));
    totals.add(float32Tensor([2, 2], prediction.slice(0, 4)), Float32Array.from(targets.slice(0, 4)), 2);
    // The last sample of a batch that is filled up does not count.
    totals.add(float32Tensor([2, 2], [...prediction.slice(4), 9, 9]), Float32Array.of(...targets.slice(4), 0, 0), 1);
    expect(totals.result()).toEqual({
      metric: "r2",
      count: 3,
      loss: 1,
      meanAbsoluteError: 4 / 6,
      accuracy: 1 - 6 / 40,
    });
  });

  it("a network is measured on values, its float inputs normalised in the graph; without labels it is not", async () => {
    const parts = {
      name: "line",
      samples: Float32Array.from({ length: 20 }, (_, i) => 1000 + i),
      sampleShape: [2],
      targets: Float32Array.from({ length: 10 }, (_, i) => i),
      target: { kind: "values", shape: [] },
    } as const;
    const data = inMemoryDataset(parts);
    const network = makeModel("mlp", { sampleShape: [2], classes: 1 }, randomStream(1, "weights"));
    const engine = nodeEngine();
    const result = await evaluate(network, data, engine, { batchSize: 4 });
    const shifted = inMemoryDataset({ ...parts, samples: parts.samples.map((value) => 3 * value - 500) });
    const same = await evaluate(network, shifted, engine, { batchSize: 4 });
    expect(result.count).toBe(10);
    expect(same.loss).toBeCloseTo(result.loss, 3);
    expect(result.accuracy).toBeLessThan(1);
    const unlabelled = inMemoryDataset({ ...parts, targets: new Float32Array(0), target: { kind: "none" } });
    await expect(evaluate(network, unlabelled, engine)).rejects.toThrow(/without labels/);
  });
});
