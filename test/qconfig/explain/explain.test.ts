/** The remarks of explain on whole configurations (as snapshots), and on each trap by itself. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { explain, explainQuantized } from "../../../src/compile/explain.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import type { QuantizationConfig } from "../../../src/qconfig/config.ts";
import type { Explanation, RemarkCode } from "../../../src/qconfig/explain/types.ts";
import { libraryVoice, trainingVoice } from "../../../src/qconfig/explain/voice.ts";
import { observeTensor } from "../../../src/qconfig/observation.ts";
import { presetNamed, presetNames } from "../../../src/qconfig/presets.ts";
import type { TensorQuantization } from "../../../src/qconfig/tensor-quantization.ts";
import { quantizationConfigOf } from "../../../src/qconfig/torch/convert.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";
import { torchVoice } from "../../../src/qconfig/torch/voice.ts";

const network = makeModel("resnet8", { sampleShape: [1, 8, 8], classes: 10, width: 4 }, randomStream(0, "weights"));

function preset(name: string, bits = 4): QuantizationConfig {
  return presetNamed(name, { weightBits: bits, activationBits: bits });
}

function activations(change: Partial<TensorQuantization>, base = preset("minmax")): QuantizationConfig {
  return { ...base, activation: base.activation === null ? null : { ...base.activation, ...change } };
}

function weights(change: Partial<TensorQuantization>, base = preset("minmax")): QuantizationConfig {
  return { ...base, weight: base.weight === null ? null : { ...base.weight, ...change } };
}

function finding(explanation: Explanation, code: RemarkCode) {
  return explanation.findings.find((candidate) => candidate.code === code);
}

/** The explanation as lines that a person can review. */
function digest({ placement, weights: w, activations: a, tensors, findings }: Explanation): string {
  const kind = (name: string, summary: typeof w) =>
    summary === null
      ? `${name}: float`
      : `${name}: ${summary.bitsAsked} bits asked, ${summary.levels} levels, ${summary.codes}`;
  return [
    `placement ${placement}`,
    kind("activations", a),
    kind("weights", w),
    ...tensors.map((t) => {
      const sign = t.nonNegative ? " ≥0" : "";
      return `${t.name} [${t.shape}] ${t.levels} of ${t.levelsAsked} ${t.codes}${sign} ×${t.timesQuantized}`;
    }),
    ...findings.map((f) => {
      const change = f.change === null ? "" : `\n  ${f.change.from} -> ${f.change.to}`;
      return `${f.severity} ${f.code} ${JSON.stringify(f.evidence)} ${f.tensors.length}: ${f.what}${change}`;
    }),
    "",
  ].join("\n");
}

describe("explain on resnet8", () => {
  it.each(["thread", "minmax", "lsq"])("%s at 4 bits", async (name) => {
    await expect(digest(explain(network, preset(name)))).toMatchFileSnapshot(`snapshots/${name}.txt`);
  });

  it("says that the thread's 4 bits are 3", () => {
    const thread = explain(network, preset("thread"));
    expect(thread.activations).toMatchObject({ bitsAsked: 4, levelsAsked: 16, levels: 8, bits: 3, codes: "0..7" });
    expect(thread.weights).toMatchObject({ bitsAsked: 4, levels: 16 });
    expect(thread.findings[0]).toMatchObject({
      code: "reduce-range",
      severity: "error",
      change: { from: "activation.reduceRange: true", to: "activation.reduceRange: false" },
    });
  });

  it("finds nothing wrong with what it tells to use", () => {
    for (const name of ["minmax", "lsq"]) {
      expect(explain(network, preset(name)).findings.filter(({ severity }) => severity !== "info")).toEqual([]);
    }
  });
});

describe("traps", () => {
  it("a symmetric range that is halved is no longer symmetric", () => {
    const config = weights({ quantMin: -127, quantMax: 127, bits: 8, reduceRange: true });
    expect(finding(explain(network, config), "reduce-range-asymmetric")?.evidence).toEqual({
      quantMin: -64,
      quantMax: 63,
    });
  });

  it("limits that the fused module loses", () => {
    const text = `QConfig(activation=FusedMovingAvgObsFakeQuantize.with_args(
  observer=MovingAverageMinMaxObserver.with_args(quant_min=0, quant_max=15)), weight=None)`;
    const parsed = parseTorchConfig({ name: "t.py", text });
    const explanation = explain(network, quantizationConfigOf(parsed.qconfig), { voice: torchVoice(parsed) });
    expect(explanation.activations).toMatchObject({ bitsAsked: 4, levels: 256 });
    expect(finding(explanation, "limits-lost")).toMatchObject({ severity: "error", change: { where: "t.py:2:63" } });
  });

  it("the fused kernel's own scale", () => {
    const config = activations({ options: { scheme: "affine", convention: "fused" } });
    const symmetric = weights({ options: { scheme: "symmetric", convention: "fused" } });
    // Of affine grids only the two-sided one differs, in its zero point: 7 and 8.
    expect(finding(explain(network, config), "fused-not-classic")?.tensors).toEqual(["conv1.input"]);
    const { evidence } = finding(explain(network, symmetric), "fused-not-classic") ?? {};
    // anchors.md §3.4: [−1, 1] at four bits is 0.1333 classic and 0.142857 fused.
    expect(evidence?.classicScale).toBeCloseTo(0.133333, 5);
    expect(evidence?.fusedScale).toBeCloseTo(0.142857, 5);
  });

  it("the range that torch before 1.12 did not pass on: 11.8 % at four bits with reduce_range", () => {
    const options = { scheme: "affine", convention: "pre-1.12", reducedObserver: true };
    const { evidence } = finding(explain(network, activations({ options })), "pre-1.12-range") ?? {};
    expect(evidence?.representableShare).toBeCloseTo(15 / 127, 6);
  });

  it("the histogram that is searched for 256 levels", () => {
    const text = "FakeQuantize.with_args(observer=HistogramObserver, quant_min=0, quant_max=15)";
    const { qconfig } = parseTorchConfig({ name: "t.py", text });
    const explanation = explain(network, quantizationConfigOf(qconfig, { placement: "fused" }));
    expect(finding(explanation, "histogram-256-bins")?.evidence).toEqual({ searchedLevels: 256, levels: 16 });
  });

  it("two symmetric bits, and the code that three and four bits do not reach", () => {
    expect(
      finding(explain(network, preset("minmax", 2)), "symmetric-two-bits")?.evidence.largestLevelShare,
    ).toBeCloseTo(2 / 3);
    for (const bits of [3, 4]) {
      expect(finding(explain(network, preset("minmax", bits)), "lowest-code-unreached")?.tensors).toHaveLength(10);
    }
    expect(finding(explain(network, preset("minmax", 8)), "lowest-code-unreached")).toBeUndefined();
  });

  it("a sign that a ReLU leaves unused", () => {
    const found = finding(explain(network, activations({ signed: true }, preset("lsq"))), "sign-wasted");
    expect(found).toMatchObject({ severity: "error", evidence: { levels: 16, levelsUsed: 8 } });
    // An affine grid moves its zero point to its end instead.
    expect(finding(explain(network, activations({ signed: true })), "sign-wasted")).toBeUndefined();
  });

  it("a zero in the middle of unsigned codes behind a ReLU", () => {
    const middle = { scheme: "symmetric", zeroPoint: 7 } as const;
    const explanation = explain(network, activations({ signed: false, options: middle }));
    expect(finding(explanation, "sign-wasted")).toMatchObject({
      severity: "error",
      evidence: { levels: 16, levelsUsed: 9 },
      change: { from: "activation.scheme: symmetric" },
    });
    expect(explanation.activations).toMatchObject({ levels: 16, levelsUsed: 9 });
    // The fused kernel gives a range with one sign a zero point at its end: checked with torch 1.13.
    const fused = activations({ signed: true, options: { scheme: "symmetric", convention: "fused" } });
    expect(finding(explain(network, fused), "sign-wasted")).toBeUndefined();
  });

  it("codes from 0 on for weights, which have both signs", () => {
    const explanation = explain(network, weights({ signed: false, options: { scheme: "symmetric" } }));
    expect(finding(explanation, "sign-lost")).toMatchObject({
      severity: "error",
      evidence: { levels: 16, levelsUsed: 8 },
      change: { from: "weight: { quantMin: 0, quantMax: 15 }", to: "weight: { quantMin: -8, quantMax: 7 }" },
    });
    expect(explanation.weights).toMatchObject({ levels: 16, levelsUsed: 8 });
    const affine = weights({ signed: false, options: { scheme: "affine" } });
    expect(finding(explain(network, affine), "sign-lost")).toBeUndefined();
    expect(finding(explain(network, weights({})), "sign-lost")).toBeUndefined();
    const middle = weights({ signed: false, options: { scheme: "symmetric", zeroPoint: 7 } });
    expect(finding(explain(network, middle), "sign-lost")).toBeUndefined();
  });

  it.each([
    ["Sigmoid", true],
    ["Exp", true],
    ["Abs", true],
    ["Tanh", false],
  ])("a sign behind %s: %s", (op, isWasted) => {
    const builder = new NetworkBuilder("one layer", randomStream(0, "weights"));
    const x = builder.builder.one(op, [builder.input("x", [8])], {}, { name: "before" });
    const config = { ...activations({ signed: true }, preset("lsq")), firstLayer: "same" } as const;
    const found = finding(explain(builder.finish(builder.linear("fc", x, 4)), config), "sign-wasted");
    expect(found !== undefined).toBe(isWasted);
  });

  it("the 39 levels of torch's signed APoT", () => {
    const config = weights(
      { quantizer: "apotTorch", options: { k: 2, signedLevels: "torch" }, granularity: "tensor" },
      { ...preset("lsq"), firstLayer: "same", lastLayer: "same" },
    );
    expect(finding(explain(network, config), "more-levels")?.evidence).toEqual({ levelsAsked: 16, levels: 39 });
  });

  it("first and last layers as coarse as the others", () => {
    expect(finding(explain(network, preset("thread")), "first-last-low-bits")?.tensors).toEqual([
      "conv1.weight",
      "fc.weight",
    ]);
    expect(finding(explain(network, preset("lsq")), "first-last-low-bits")).toBeUndefined();
  });
});

describe("observations", () => {
  const quantized = quantize(network, preset("thread"));
  const bn = quantized.sites.find(({ tensor }) => tensor === "bn1.output");
  if (bn === undefined) throw new Error("the placement everyModule quantizes bn1's output");

  it("tell how much of the grid a ReLU drops, and the codes that are used", () => {
    const seen = observeTensor(bn.spec, float32Tensor([8], [-3, -2, -1, 0, 0.1, 0.4, 1, 1]));
    expect(seen).toMatchObject({ min: -3, max: 1 });
    expect(seen.codesSeen).toBe(6);
    expect(seen.deadShare).toBeCloseTo(0.25);
    expect(seen.representable?.max).toBeGreaterThan(0.9);
    const { findings, tensors } = explainQuantized(quantized, preset("thread"), {
      observed: new Map([[bn.id, seen]]),
    });
    const dropped = findings.find(
      ({ code, evidence }) => code === "negative-part-dropped" && evidence.usefulShare !== undefined,
    );
    expect(dropped?.evidence.usefulShare).toBeCloseTo(0.25);
    expect(tensors.find(({ name }) => name === "bn1.output")?.observed).toEqual({ min: -3, max: 1 });
  });

  it("see a range that the grid cannot hold, and tensors of nothing but 0", () => {
    const spec = { ...bn.spec, quantMax: 15, options: { scheme: "affine", convention: "pre-1.12" } };
    const site = { ...bn, spec };
    const seen = observeTensor(spec, float32Tensor([3], [0, 1, 2]));
    const observed = new Map([[bn.id, seen]]);
    const clipped = explainQuantized({ ...quantized, sites: [site] }, preset("thread"), { observed });
    expect(finding(clipped, "range-clipped")?.evidence.representableShare).toBeCloseTo(15 / 255);
    const zeros = new Map([[bn.id, observeTensor(bn.spec, float32Tensor([2], [0, 0]))]]);
    const zero = explainQuantized(quantized, preset("thread"), { observed: zeros });
    expect(finding(zero, "zero-range")?.tensors).toEqual(["bn1.output"]);
  });
});

describe("the line to change", () => {
  const request = { kind: "activation", key: "reduceRange", from: "true", to: "false" } as const;

  it("is said in the configuration's own words", () => {
    expect(libraryVoice(request)).toEqual({
      from: "activation.reduceRange: true",
      to: "activation.reduceRange: false",
    });
    const yaml = trainingVoice("thread", (key) => (key === "quantization.reduceRange" ? "qat.yaml:3" : undefined));
    expect(yaml(request)).toEqual({
      from: "quantization.reduceRange: true",
      to: "quantization.reduceRange: false",
      where: "qat.yaml:3",
    });
    const python = parseTorchConfig({ name: "t.py", text: "FakeQuantize.with_args(reduce_range=True)" });
    expect(torchVoice(python)(request)).toEqual({
      from: "reduce_range=True",
      to: "reduce_range=False",
      where: "t.py:1:24",
    });
  });
});

describe("the summary of a kind of tensor", () => {
  const small = { mlp: [16], lenet: [1, 28, 28], resnet8: [1, 8, 8] } as const;

  it.each(
    Object.entries(small).flatMap(([model, sampleShape]) =>
      presetNames().map((name) => [model, name, sampleShape] as const),
    ),
  )("of %s with the preset %s is about the bits of the configuration", (model, name, sampleShape) => {
    const float = makeModel(model, { sampleShape, classes: 10 }, randomStream(0, "weights"));
    for (const bits of [2, 3]) {
      const config = preset(name, bits);
      const explanation = explain(float, config);
      for (const kind of ["weight", "activation"] as const) {
        const own = explanation.tensors.filter((tensor) => tensor.kind === kind);
        const summary = explanation[`${kind}s`];
        const wanted = config[kind]?.bits;
        if (summary === null) expect(own).toEqual([]);
        else if (own.some(({ bitsAsked }) => bitsAsked === wanted)) expect(summary.bitsAsked).toBe(wanted);
        else expect(summary).toMatchObject({ bitsOfConfig: wanted, bitsAsked: own[0]?.bitsAsked });
        const others = summary?.others.reduce((sum, { tensors }) => sum + tensors, 0);
        expect(others).toBe(summary === null ? undefined : own.filter((t) => t.bitsAsked !== summary.bitsAsked).length);
      }
    }
  });
});
