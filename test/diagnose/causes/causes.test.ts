import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { configToYaml, resolveTrainingConfig } from "../../../src/config/config.ts";
import { type CauseName, causes, diagnose } from "../../../src/diagnose/diagnose.ts";
import { factsOf } from "../../../src/diagnose/facts.ts";
import { evidence, logRamp, ramp } from "../../../src/diagnose/finding.ts";
import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import type { ProbeRecord } from "../../../src/diagnose/probe/measurement.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNames } from "../../../src/qconfig/presets.ts";
import { quantizers } from "../../../src/quantizers/index.ts";
import { type Finding, findingsFileSchema, highConfidence } from "../../../src/runs/finding.ts";
import {
  facts,
  layer,
  normMeasurement,
  record,
  records,
  siteFacts,
  siteMeasurement,
  weightMeasurement,
} from "../synthetic.ts";
import { badStart, observed, symptoms } from "./symptoms.ts";

function found(input: DiagnosisInput, cause: CauseName): Finding | undefined {
  return diagnose(input).find((finding) => finding.cause === cause);
}

describe("findings from measurements made by hand", () => {
  it("are none for a healthy run", () => {
    expect(diagnose({ facts: facts(), records: records() })).toEqual([]);
  });

  it.each(Object.entries(symptoms))("%s is the first finding where its symptom is the only one", (cause, input) => {
    const [first] = diagnose(input);
    expect(first?.cause).toBe(cause);
    expect(first?.evidence.some(({ supports }) => supports)).toBe(true);
  });

  it("cover every cause of the table", () => {
    expect(Object.keys(symptoms).sort()).toEqual(Object.keys(causes).sort());
  });

  it("name the layer", () => {
    const local: readonly CauseName[] = [
      "outlier-range",
      "bad-initial-scale",
      "mask-missing",
      "sign-wasted",
      "channel-disparity",
    ];
    for (const cause of local) expect(found(symptoms[cause], cause)?.layers).toEqual([layer]);
    expect(found(symptoms["residual-mismatch"], "residual-mismatch")?.layers).toEqual(["layer1.0.add"]);
    expect(found(symptoms["batch-norm-stale"], "batch-norm-stale")?.layers).toEqual(["bn1"]);
  });

  it("have remedies that are changes of the training configuration", () => {
    for (const [cause, input] of Object.entries(symptoms)) {
      for (const { remedy } of diagnose(input)) {
        const changes = Object.entries(remedy?.changes ?? {});
        const overrides = changes.map(([path, value]) => ({ path, value, origin: cause }));
        expect(() => resolveTrainingConfig({ name: "run", text: "quantization: {}" }, overrides)).not.toThrow();
      }
    }
  });

  it.each(presetNames())("have no remedy that a run with the preset %s has already", (preset) => {
    const settings = resolveTrainingConfig({ name: "run", text: `quantization: { preset: "${preset}" }` });
    for (const input of Object.values(symptoms)) {
      for (const { remedy, cause } of diagnose({ ...input, facts: { ...input.facts, settings } })) {
        const overrides = Object.entries(remedy?.changes ?? {}).map(([path, value]) => ({
          path,
          value,
          origin: cause,
        }));
        if (overrides.length === 0) continue;
        const changed = resolveTrainingConfig({ name: "run", text: configToYaml(settings) }, overrides);
        expect(configToYaml(changed), cause).not.toBe(configToYaml(settings));
      }
    }
  });

  it("tells a run that began from a run nothing of random weights, and where it began", () => {
    const from = found(symptoms["random-start"], "random-start");
    expect(from?.title).toContain("runs/float");
    expect(from?.remedy?.changes).toEqual({});
    const input = { ...symptoms["random-start"], facts: facts([siteFacts()], { from: undefined }) };
    expect(found(input, "random-start")?.title).toContain("random weights");
    expect(found(input, "random-start")?.remedy?.changes).toEqual({ from: "runs/float" });
  });

  it("say nothing of scales that began at their lower limit, as those of channels of zeros do", () => {
    const zeros = { sites: [siteMeasurement({ floorShare: 0.25 })] };
    expect(found({ facts: facts(), records: records(zeros) }, "scale-collapsed")).toBeUndefined();
  });

  it("fit what a study keeps of them", () => {
    for (const input of Object.values(symptoms)) {
      const file = JSON.parse(JSON.stringify({ schemaVersion: 1, findings: diagnose(input) }));
      expect(findingsFileSchema.safeParse(file).error).toBeUndefined();
    }
  });
});

describe("confidence", () => {
  it("is high where the configuration alone proves the cause", () => {
    for (const cause of ["reduced-range", "sign-wasted", "mask-missing", "unfused-placement"] as const) {
      expect(found(symptoms[cause], cause)?.confidence).toBeGreaterThanOrEqual(highConfidence);
    }
  });

  it("falls where a lost bit matters less", () => {
    const at = (bits: number) => {
      const levels = 2 ** (bits - 1);
      const site = siteFacts({ ...observed, bits, levels, quantMax: levels - 1 });
      return found({ facts: facts([site]), records: records() }, "reduced-range")?.confidence ?? 0;
    };
    expect(at(8)).toBeLessThan(highConfidence);
    expect([at(8), at(6), at(5)]).toEqual([at(8), at(6), at(5)].sort((a, b) => a - b));
  });

  it("is not high for a loss of range that costs no accuracy, nor for levels that are not even", () => {
    const harmless = { loss: 0.38, floatLoss: 0.38 };
    const harmful = { loss: 0.8, floatLoss: 0.38 };
    const bad = { sites: [siteMeasurement(badStart)] };
    const at = (change: Partial<ProbeRecord>, quantizer = "lsq") =>
      found({ facts: facts([siteFacts({ quantizer })]), records: records({ ...bad, ...change }) }, "bad-initial-scale")
        ?.confidence ?? 0;
    expect(at(harmful)).toBeGreaterThanOrEqual(highConfidence);
    expect(at(harmless)).toBeLessThan(highConfidence);
    expect(at(harmful, "apot")).toBeLessThan(highConfidence);
    const signed = facts([siteFacts({ quantizer: "minifloat", quantMin: -8, quantMax: 7 })]);
    expect(found({ ...symptoms["sign-wasted"], facts: signed }, "sign-wasted")?.confidence).toBeLessThan(
      highConfidence,
    );
  });

  it("falls for a bad initial scale that training has corrected", () => {
    const bad = { sites: [siteMeasurement(badStart)] };
    const lasting = found({ facts: facts(), records: records(bad) }, "bad-initial-scale")?.confidence ?? 0;
    const corrected = found({ facts: facts(), records: records({}, bad) }, "bad-initial-scale")?.confidence ?? 0;
    expect(corrected).toBeLessThan(lasting);
  });

  it("is that of a bystander for an initial scale that the quantizer's own rule gave, with nothing to change", () => {
    const startAt = (initialRatio: number) =>
      found(
        { facts: facts(), records: records({ loss: 0.8, sites: [siteMeasurement({ ...badStart, initialRatio })] }) },
        "bad-initial-scale",
      );
    for (const own of [0.6, 1, 1.9]) {
      expect(startAt(own)?.confidence).toBeLessThan(highConfidence);
      expect(startAt(own)?.remedy).toBeNull();
    }
    for (const wrong of [1 / 30, 0.2, 5, 30, Number.NaN]) {
      expect(startAt(wrong)?.confidence).toBeGreaterThanOrEqual(highConfidence);
      expect(startAt(wrong)?.remedy).not.toBeNull();
    }
  });

  it("is that of a bystander where the loss is above float's by no more than its noise", () => {
    const bad = { sites: [siteMeasurement(badStart)] };
    const at = (losses: readonly number[]) => {
      const measured = losses.map((loss, i) => record(80 * i + 80, { ...bad, loss }));
      return found({ facts: facts(), records: [record(0, bad), ...measured] }, "bad-initial-scale")?.confidence ?? 0;
    };
    expect(at([0.3, 0.45, 0.55])).toBeLessThan(highConfidence);
    expect(at([0.5, 0.45, 0.55])).toBeGreaterThanOrEqual(highConfidence);
    expect(at([0.5])).toBeGreaterThanOrEqual(highConfidence);
  });

  it("needs running statistics that cost something at every one of the last probes", () => {
    const norms = [normMeasurement({ divergence: 0.5, meanShift: 1, varianceShift: 1 })];
    const at = (losses: readonly number[], change: Partial<ProbeRecord> = {}) =>
      found(
        { facts: facts(), records: losses.map((runningLoss, i) => record(i + 1, { norms, runningLoss, ...change })) },
        "batch-norm-stale",
      )?.confidence ?? 0;
    expect(at([2, 2, 2, 2])).toBeGreaterThanOrEqual(highConfidence);
    // They lagged behind, and have caught up.
    expect(at([2, 2, 2, 0.41])).toBe(0);
    // Records of earlier versions do not know.
    expect(at([Number.NaN, Number.NaN])).toBeGreaterThanOrEqual(highConfidence);
    // Frozen ones are trained with: the float twin, on the batch's, shows what they cost.
    expect(at([0.4, 0.4], { batchNorm: "running" })).toBeLessThan(highConfidence);
    expect(at([0.8, 0.8], { batchNorm: "running", loss: 0.8 })).toBeGreaterThanOrEqual(highConfidence);
  });

  const unmasked = [...quantizers.values()].filter(({ traits }) => !traits.masksOutside).map(({ name }) => name);

  it.each(unmasked)("is that of a bystander for %s, which has no mask by design", (quantizer) => {
    const input = { facts: facts([siteFacts({ quantizer })]), records: symptoms["mask-missing"].records };
    expect(found(input, "mask-missing")?.confidence).toBeLessThan(highConfidence);
  });

  it("is none of a random start where values are learned, whose loss has no chance to compare with", () => {
    const network = makeModel("mlp", { sampleShape: [4], classes: 1 }, randomStream(0, "weights"));
    const recipe = { epochs: 10, learningRate: 0.05, loss: { name: "meanSquaredError" } } as const;
    const { classes } = factsOf(network, { recipe });
    const input = { ...symptoms["random-start"], facts: facts([siteFacts()], { classes }) };
    expect(diagnose(input)).toEqual([]);
  });

  it("does not call a random start's large steps a learning rate too high", () => {
    const moving = { weights: [weightMeasurement({ update: 0.026, distance: 0.6 })] };
    const start: Partial<ProbeRecord> = { loss: 2.34, floatLoss: 2.34 };
    const input = { facts: facts([]), records: records(moving, start) };
    expect(found(input, "learning-rate-too-high")?.confidence ?? 0).toBeLessThan(highConfidence);
  });

  it("is 95 % for the learning rate where losses are not finite", () => {
    const recent = { steps: 80, mean: 2, max: 3, notFinite: 5 };
    const input = { facts: facts(), records: records({ recent, loss: Number.NaN }, {}) };
    expect(diagnose(input)[0]).toMatchObject({ cause: "learning-rate-too-high", confidence: 0.95 });
  });
});

describe("evidence", () => {
  it("supports from the threshold on, or up to it", () => {
    expect(evidence("dead share", 0.3, 0.3, "above").supports).toBe(true);
    expect(evidence("dead share", 0.29, 0.3, "above").supports).toBe(false);
    expect(evidence("levels", 8, 8, "below").supports).toBe(true);
    expect(evidence("levels", Number.NaN, 8, "below").supports).toBe(false);
  });

  it("leaves out what was not measured", () => {
    const [finding] = diagnose(symptoms["reduced-range"]);
    expect(finding?.evidence.every(({ value }) => Number.isFinite(value))).toBe(true);
  });

  it("ramps", () => {
    expect([ramp(1, 2, 4), ramp(3, 2, 4), ramp(9, 2, 4), ramp(Number.NaN, 2, 4)]).toEqual([0, 0.5, 1, 0]);
    expect(ramp(3, 4, 2)).toBe(0.5);
    expect(logRamp(10, 1, 100)).toBeCloseTo(0.5);
    expect(logRamp(0, 1, 100)).toBe(0);
  });
});
