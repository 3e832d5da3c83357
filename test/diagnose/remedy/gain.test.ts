import { describe, expect, it } from "vitest";
import { lossOfBits } from "../../../src/diagnose/confidence/expectation.ts";
import { byGain, expectedGain } from "../../../src/diagnose/remedy/gain.ts";
import type { Finding, Remedy } from "../../../src/runs/finding.ts";
import { inputOf } from "./input.ts";

const finding = (cause: string, confidence: number, changes: Remedy["changes"] | null): Finding => ({
  cause,
  title: cause,
  layers: [],
  evidence: [],
  confidence,
  remedy: changes === null ? null : { title: cause, changes },
});
const rate = { "train.optimizer.learningRate": 0.01 };
const range = { "quantization.reduceRange": false };
const wider = { "quantization.weightBits": 3 };

describe("the expected gain of a remedy", () => {
  // 30 points are missing, 6 of which come back without quantizers.
  const input = inputOf({ float: 0.9, reached: 0.6, withoutQuantizers: 0.66 });

  it("is bounded by what the quantizers cost, or half of what is missing", () => {
    expect(expectedGain(finding("a", 1, rate), input)).toBeCloseTo(0.3, 9);
    expect(expectedGain(finding("a", 0.5, rate), input)).toBeCloseTo(0.15, 9);
    expect(expectedGain(finding("a", 1, range), input)).toBeCloseTo(0.15, 9);
    expect(expectedGain(finding("a", 1, null), input)).toBeCloseTo(0.3, 9);
    expect(expectedGain(finding("a", 1, wider), input)).toBeCloseTo(lossOfBits(2, false) - lossOfBits(3, false), 9);
    expect(
      expectedGain(finding("a", 1, range), inputOf({ float: 0.9, reached: 0.6, withoutQuantizers: 0.88 })),
    ).toBeCloseTo(0.28, 9);
  });

  it("orders the findings that are near each other, and no others", () => {
    const order = (...findings: Finding[]) =>
      byGain(findings, (each) => expectedGain(each, input)).map(({ cause }) => cause);
    expect(order(finding("range", 0.9, range), finding("rate", 0.89, rate))).toEqual(["rate", "range"]);
    expect(order(finding("range", 0.9, range), finding("rate", 0.8, rate))).toEqual(["range", "rate"]);
    expect(order(finding("a", 0.9, wider), finding("b", 0.5, range), finding("c", 0.49, rate))).toEqual([
      "a",
      "c",
      "b",
    ]);
    expect(order(finding("a", 0.9, null), finding("b", 0.9, rate))).toEqual(["a", "b"]);
  });

  it("leaves the order where no accuracy is known", () => {
    const unknown = inputOf({});
    expect(expectedGain(finding("a", 1, rate), unknown)).toBeNaN();
    const findings = [finding("a", 0.9, range), finding("b", 0.89, rate)];
    expect(byGain(findings, (each) => expectedGain(each, unknown)).map(({ cause }) => cause)).toEqual(["a", "b"]);
  });
});
