/** Metrics of positions against scikit-learn 1.9 and torch 2.15, the same in both layouts, and against a plain count. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { denseLayout } from "../../../src/compile/build/dense.ts";
import type { LabelType } from "../../../src/data/dataset/dataset.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { metricTotals } from "../../../src/train/loop/metrics.ts";
import { areaUnderCurve } from "../../../src/train/metrics/ranking.ts";

const [batch, length, classes] = [5, 12, 6];
const labels = Int32Array.from({ length: batch * length }, (_, i) => (i % 11 === 0 ? -1 : (i * 7) % 5));
const scores = Float32Array.from({ length: batch * length * classes }, (_, i) => Math.sin(i * 1.7));

type Dense = Extract<LabelType, { readonly kind: "dense" }>;

function measured(meaning: Dense["meaning"], shape: readonly number[], output: readonly number[], data = scores) {
  const totals = metricTotals({ kind: "dense", shape, classes: [], meaning });
  // In two parts, the second of which is filled up: its last sample does not count.
  const half = 3 * length;
  totals.add(float32Tensor([3, ...output], data.subarray(0, half * classes)), labels.subarray(0, half), 3);
  const rest = Float32Array.from({ length: half * classes }, (_, i) => data[half * classes + i] ?? 7);
  totals.add(
    float32Tensor([3, ...output], rest),
    Int32Array.from({ length: half }, (_, i) => labels[half + i] ?? 0),
    2,
  );
  return totals.result();
}

/** The scores with the classes before the positions. */
const classesFirst = Float32Array.from(scores, (_, i) => {
  const [sample, rest] = [Math.floor(i / (length * classes)), i % (length * classes)];
  const [k, position] = [Math.floor(rest / length), rest % length];
  return scores[(sample * length + position) * classes + k] ?? 0;
});

describe("a class for each position", () => {
  it("tokens: accuracy, F1 and loss are those of scikit-learn and torch", () => {
    const result = measured("tokens", [length], [length, classes]);
    expect(result.accuracy).toBeCloseTo(0.18518518518518517, 14);
    expect(result.macroF1).toBeCloseTo(0.16158559163674252, 14);
    expect(result.loss).toBeCloseTo(1.8800475597381592, 6);
    const each = [0.11764705882352941, 0.2222222222222222, 0.34782608695652173, 0.18181818181818182, 0.1, 0];
    each.forEach((value, k) => {
      expect(result.classF1?.[k]).toBeCloseTo(value, 14);
    });
    expect(result.positions).toBe(54);
  });

  it("regions: the mean IoU is scikit-learn's, in either layout", () => {
    const result = measured("regions", [3, 4], [classes, 3, 4], classesFirst);
    expect(result.accuracy).toBeCloseTo(0.09177631578947369, 14);
    [0.0625, 0.125, 0.21052631578947367, 0.1, 0.05263157894736842, 0].forEach((value, k) => {
      expect(result.classIoU?.[k]).toBeCloseTo(value, 14);
    });
    expect(measured("regions", [3, 4], [3, 4, classes]).accuracy).toBe(result.accuracy);
  });

  it("masked and next tokens: the perplexity is e to the loss", () => {
    for (const meaning of ["masked tokens", "next tokens"] as const) {
      const { loss, perplexity } = measured(meaning, [length], [length, classes]);
      expect(perplexity).toBe(Math.exp(loss));
    }
  });

  it("a class that occurs nowhere counts in no mean, and NaN is never right", () => {
    const totals = metricTotals({ kind: "dense", shape: [2], classes: [], meaning: "tokens" });
    totals.add(float32Tensor([1, 2, 3], [1, 0, 0, Number.NaN, 0, 0]), Int32Array.of(0, 0), 1);
    expect(totals.result()).toMatchObject({ accuracy: 0.5, classF1: [2 / 3, null, null], macroF1: 2 / 3 });
  });

  it("the classes are the axis that fits, the last one of sequences and the first one of images where both do", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), (shape, count) => {
        const last = denseLayout([...shape, count], shape);
        const first = denseLayout([count, ...shape], shape);
        const isBoth = shape.every((size) => size === count);
        expect(last?.axis).toBe(isBoth && shape.length > 1 ? 0 : shape.length);
        expect(first?.axis).toBe(isBoth && shape.length === 1 ? 1 : 0);
        expect(last?.classes).toBe(count);
      }),
    );
    expect(denseLayout([7], [4])).toMatchObject({ isLastOnly: true, classes: 7 });
    expect(denseLayout([7, 5], [4])).toBeUndefined();
  });
});

describe("area under the curve", () => {
  it("is scikit-learn's, with ties", () => {
    const errors = Array.from({ length: 40 }, (_, i) => Math.round(Math.sin(i * 2.3) * 4) / 4);
    const anomalies = errors.map((_, i) => Number((i * 5) % 7 < 3));
    expect(areaUnderCurve(errors, anomalies)).toBeCloseTo(0.48721227621483376, 14);
  });

  it("is the share of ordered pairs", () => {
    const sample = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(sample, { minLength: 2, maxLength: 30 }), (samples) => {
        const [yes, no] = [samples.filter(([, is]) => is), samples.filter(([, is]) => !is)];
        fc.pre(yes.length > 0 && no.length > 0);
        let ordered = 0;
        for (const [a] of yes) for (const [b] of no) ordered += a > b ? 1 : a === b ? 0.5 : 0;
        const result = areaUnderCurve(
          samples.map(([score]) => score),
          samples.map(([, is]) => Number(is)),
        );
        expect(result).toBeCloseTo(ordered / (yes.length * no.length), 12);
      }),
    );
  });
});
