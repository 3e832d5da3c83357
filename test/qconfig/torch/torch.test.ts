/**
 * The compatibility module: limits against torch 1.13's own (../shared/golden/torch113.json, where it is there), and the
 * arguments as torch 1.13 hands them on, seen by running it: `FakeQuantize.with_args(…)()` and its quant_min, quant_max.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { codeRange, resolveQuantizer } from "../../../src/qconfig/tensor-quantization.ts";
import { quantizationConfigOf, tensorQuantizationOf } from "../../../src/qconfig/torch/convert.ts";
import { calculateQuantLimits, type TorchDtype } from "../../../src/qconfig/torch/limits.ts";
import {
  defaultFakeQuant,
  defaultFusedPerChannelWtFakeQuant,
  defaultPerChannelWeightFakeQuant,
  FakeQuantize,
  type FakeQuantizeForm,
  FusedMovingAvgObsFakeQuantize,
  getDefaultQatQconfig,
  HistogramObserver,
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  PerChannelMinMaxObserver,
  perChannelSymmetric,
  perTensorAffine,
  perTensorSymmetric,
  QConfig,
  qint8,
  quint8,
} from "../../../src/qconfig/torch/torch.ts";

/** The limits that a module ends with, as `resolveQuantizer` sees them. */
function limits(form: FakeQuantizeForm): [number, number] {
  const { min, max } = codeRange(tensorQuantizationOf(form, "x"), false);
  return [min, max];
}

function refusal(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof SubbyteError) return error.describe();
    throw error;
  }
  return "accepted";
}

const goldenPath = new URL("../../../../shared/golden/torch113.json", import.meta.url);

interface LimitVector {
  readonly dtype: TorchDtype;
  readonly qmin: number;
  readonly qmax: number;
  readonly reduce_range: boolean;
  readonly out: readonly [number, number];
}

describe("calculate_qmin_qmax", () => {
  it.skipIf(!existsSync(goldenPath))("gives torch's limits, or refuses the single level that torch would take", () => {
    const golden: { calculate_qmin_qmax: LimitVector[] } = JSON.parse(readFileSync(goldenPath, "utf8"));
    expect(golden.calculate_qmin_qmax.length).toBeGreaterThan(30);
    for (const { dtype, qmin, qmax, reduce_range, out } of golden.calculate_qmin_qmax) {
      const given = { dtype, quantMin: qmin, quantMax: qmax, reduceRange: reduce_range };
      if (out[0] === out[1]) expect(refusal(() => calculateQuantLimits(given))).toContain("a single level");
      else expect(calculateQuantLimits(given)).toEqual({ min: out[0], max: out[1] });
    }
  });

  it("halves the limits of the type where none are given", () => {
    expect(calculateQuantLimits({ dtype: "qint8", reduceRange: true })).toEqual({ min: -64, max: 63 });
    expect(calculateQuantLimits({ dtype: "quint8", reduceRange: true })).toEqual({ min: 0, max: 127 });
  });
});

describe("arguments", () => {
  const observed = { quantMin: 0, quantMax: 15, dtype: quint8 } as const;

  it("of the observer, of the module, and the module's over the observer's", () => {
    const byObserver = FakeQuantize.withArgs({
      observer: MovingAverageMinMaxObserver.withArgs({ ...observed, qscheme: perTensorAffine, reduceRange: true }),
    });
    expect(limits(byObserver)).toEqual([0, 7]);
    const byModule = FakeQuantize.withArgs({ ...observed, observer: MovingAverageMinMaxObserver, reduceRange: true });
    expect(limits(byModule)).toEqual([0, 7]);
    expect(limits(byObserver.withArgs({ quantMin: 0, quantMax: 255, reduceRange: false }))).toEqual([0, 255]);
    expect(limits(FakeQuantize)).toEqual([0, 255]);
  });

  it("of the fused module's observer lose their limits, as in torch, and keep the bits that were asked for", () => {
    const lost = FusedMovingAvgObsFakeQuantize.withArgs({ observer: MovingAverageMinMaxObserver.withArgs(observed) });
    expect(tensorQuantizationOf(lost, "x")).toMatchObject({ bits: 4, quantMin: 0, quantMax: 255 });
    const kept = lost.withArgs({ quantMin: 0, quantMax: 15 });
    expect(tensorQuantizationOf(kept, "x")).toMatchObject({ bits: 4, quantMin: 0, quantMax: 15 });
  });

  it("make the quantization that they name", () => {
    expect(tensorQuantizationOf(defaultPerChannelWeightFakeQuant, "w")).toEqual({
      quantizer: "uniform",
      bits: 8,
      signed: true,
      quantMin: -128,
      quantMax: 127,
      granularity: "channel",
      channelAxis: 0,
      observer: { observer: "movingAverageMinMax", options: { averagingConstant: 0.01 } },
      options: { scheme: "symmetric" },
    });
    expect(tensorQuantizationOf(defaultFusedPerChannelWtFakeQuant, "w").options).toEqual({
      scheme: "symmetric",
      convention: "fused",
    });
    expect(limits(defaultFakeQuant)).toEqual([0, 127]);
    const histogram = FakeQuantize.withArgs({ observer: HistogramObserver, quantMin: 0, quantMax: 15 });
    expect(tensorQuantizationOf(histogram, "x").options).toMatchObject({
      initializer: "histogram",
      histogramLevels: 256,
    });
  });

  it("give symmetric unsigned codes a zero in the middle", () => {
    const symmetric = { dtype: quint8, qscheme: perTensorSymmetric } as const;
    const zeroPoint = (form: FakeQuantizeForm) => tensorQuantizationOf(form, "x").options.zeroPoint;
    expect(zeroPoint(FakeQuantize.withArgs({ ...symmetric, observer: MinMaxObserver }))).toBe(128);
    expect(zeroPoint(FakeQuantize.withArgs({ ...symmetric, quantMin: 0, quantMax: 15 }))).toBe(7);
  });

  it.each<readonly [string, FakeQuantizeForm, string]>([
    ["quant_min alone", FakeQuantize.withArgs({ quantMin: 0 }), "given without quant_max"],
    ["a negative quint8", FakeQuantize.withArgs({ quantMin: -8, quantMax: 7 }), "Set dtype to torch.qint8"],
    ["too wide", FakeQuantize.withArgs({ quantMin: 0, quantMax: 300 }), "do not fit into quint8"],
    ["without 0", FakeQuantize.withArgs({ quantMin: 1, quantMax: 7 }), "do not include 0"],
    ["a fraction", FakeQuantize.withArgs({ quantMin: 0, quantMax: 7.5 }), "a code is an integer"],
    ["upside down", FakeQuantize.withArgs({ quantMin: 7, quantMax: 0 }), "is not below"],
    ["one level", FakeQuantize.withArgs({ quantMin: 0, quantMax: 1, reduceRange: true }), "Set reduce_range to False"],
    [
      "symmetric quint8 reduced",
      FakeQuantize.withArgs({ dtype: quint8, qscheme: perTensorSymmetric, reduceRange: true }),
      "torch cannot reduce the range of a symmetric quint8",
    ],
    ["a scheme of the other kind", FakeQuantize.withArgs({ qscheme: perChannelSymmetric }), "cannot give"],
    [
      "a fused min-max",
      FusedMovingAvgObsFakeQuantize.withArgs({ observer: MinMaxObserver }),
      "the fused module needs a moving average",
    ],
    [
      "an argument of another observer",
      FakeQuantize.withArgs({ observer: PerChannelMinMaxObserver.withArgs({ averagingConstant: 0.1 }) }),
      "takes no argument averagingConstant",
    ],
    ["qint32", FakeQuantize.withArgs({ dtype: "qint32" }), "has no fake quantization"],
  ])("are refused: %s", (_name, form, words) => {
    expect(refusal(() => tensorQuantizationOf(form, "QConfig activation"))).toContain(words);
  });
});

describe("get_default_qat_qconfig", () => {
  it.each([
    ["fbgemm", [0, 127], "channel"],
    ["x86", [0, 127], "channel"],
    ["qnnpack", [0, 255], "tensor"],
    ["onednn", [0, 255], "channel"],
  ])("of %s", (backend, activation, granularity) => {
    for (const version of [0, 1] as const) {
      const config = quantizationConfigOf(getDefaultQatQconfig(backend, version));
      const { min, max } = config.activation === null ? { min: 0, max: 0 } : codeRange(config.activation, true);
      expect([min, max]).toEqual(activation);
      expect(config.weight).toMatchObject({ quantMin: -128, quantMax: 127, granularity });
      expect(config.activation?.options.convention).toBe(version === 1 ? "fused" : undefined);
      expect(config.placement).toBe("everyModule");
    }
  });

  it("refuses a backend that torch does not know", () => {
    expect(refusal(() => getDefaultQatQconfig("fbgem"))).toContain("Did you mean fbgemm?");
  });
});

describe("a QConfig", () => {
  it("leaves in float what is null, and resolves for a tensor", () => {
    const weight = FakeQuantize.withArgs({
      observer: MovingAveragePerChannelMinMaxObserver,
      quantMin: -8,
      quantMax: 7,
      dtype: qint8,
      qscheme: perChannelSymmetric,
    });
    const config = quantizationConfigOf(new QConfig({ activation: null, weight }), { placement: "fused" });
    expect(config.activation).toBeNull();
    expect(config.placement).toBe("fused");
    if (config.weight === null) throw new Error("weights are quantized");
    const facts = { name: "w", type: { dtype: "float32", shape: [4, 3, 3, 3] }, nonNegative: false } as const;
    expect(resolveQuantizer(config.weight, facts)).toMatchObject({
      quantMin: -8,
      quantMax: 7,
      channelAxis: 0,
      bits: 4,
    });
  });
});
