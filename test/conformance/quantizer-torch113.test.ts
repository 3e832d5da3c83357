/**
 * Quantizers and observers against torch 1.13: every vector of ../shared/golden/torch113.json, through ONNX Runtime and
 * through the scalar forms. Where equality is not to the bit the reason stands beside it, and in docs/quantizers.md.
 */

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import type { Value } from "../../src/ir/graph.ts";
import { filled, float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { histogramCalibrator } from "../../src/observers/histogram.ts";
import { observerNamed } from "../../src/observers/index.ts";
import { codeRange } from "../../src/qconfig/tensor-quantization.ts";
import { parametersFromRange, uniformParameters } from "../../src/quantizers/arithmetic/uniform-parameters.ts";
import type { QuantizerOptions, QuantizerSpec } from "../../src/quantizers/definition.ts";
import { toCodes } from "../../src/quantizers/integers.ts";
import { genericTarget } from "../support/graphs/gradient-check.ts";
import { loadGraph } from "../support/graphs/run-graph.ts";
import { cpuTarget, fromCodes, loadQuantizer, parametersOf, specFor } from "../support/training/quantizer.ts";

interface Golden {
  readonly torch: string;
  readonly calculate_qmin_qmax: readonly {
    dtype: string;
    qmin: number;
    qmax: number;
    reduce_range: boolean;
    out: [number, number];
  }[];
  readonly qparams: readonly {
    min: number;
    max: number;
    bits: number;
    qscheme: string;
    dtype: string;
    qmin: number;
    qmax: number;
    scale: number;
    zero_point: number;
    fused_scale?: number;
    fused_zero_point?: number;
    fused_error?: string;
  }[];
  readonly "moving_average_c0.01": readonly { batch: number[]; min: number; max: number; scale: number; zp: number }[];
  readonly moving_average_per_channel: readonly {
    axis: number;
    shape: number[];
    x1: number[];
    min: number[];
    max: number[];
    scale: number[];
    zp: number[];
  }[];
  readonly fake_quantize: readonly {
    scale: number;
    zp: number;
    qmin: number;
    qmax: number;
    x: number[];
    y: number[];
    grad: number[];
    per_channel_scales: number[];
    y_pc: number[][];
    grad_pc?: number[][];
  }[];
  readonly learnable: readonly {
    per_channel: boolean;
    shape: number[];
    axis: number;
    x: number[];
    dy: number[];
    scale: number[];
    zp: number[];
    qmin: number;
    qmax: number;
    y: number[];
    dx: number[];
    dscale: number[];
    dzp: number[];
  }[];
  readonly histogram_bins2048: readonly {
    data: string;
    bits: number;
    dst_nbins: number;
    min_val: number;
    max_val: number;
    hist_nonzero: number;
    search_min: number;
    search_max: number;
    scale: number;
    zp: number;
  }[];
}

const place = new URL("../../../shared/golden/torch113.json", import.meta.url);
const isPresent = existsSync(place);
const empty: Golden = {
  torch: "",
  calculate_qmin_qmax: [],
  qparams: [],
  "moving_average_c0.01": [],
  moving_average_per_channel: [],
  fake_quantize: [],
  learnable: [],
  histogram_bins2048: [],
};
const golden: Golden = isPresent ? JSON.parse(readFileSync(place, "utf8")) : empty;

/** The uniform spec of a torch quantizer. */
function uniformSpec(low: number, high: number, options: QuantizerOptions, more: Partial<QuantizerSpec> = {}) {
  return specFor("uniform", 8, low < 0, options, { quantMin: low, quantMax: high, ...more });
}

/** The numbers of generate.py: a linear congruential generator, and the normal distribution from it. */
function gaussian(count: number, seed: number): Float32Array {
  let state = seed;
  const uniform = Array.from({ length: 2 * count }, () => {
    state = Number((1103515245n * BigInt(state) + 12345n) % 2147483648n);
    return state / 2147483648;
  });
  return Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(Math.max(uniform[2 * i] ?? 0, 1e-9)));
    return radius * Math.cos(2 * Math.PI * (uniform[2 * i + 1] ?? 0));
  });
}

function expectSame(actual: ArrayLike<number>, expected: readonly number[]): void {
  // −0 and 0 are one number here: torch's codes are integers before they are multiplied.
  expect(Array.from(actual, (value) => value + 0)).toEqual(expected.map((value) => Math.fround(value) + 0));
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  const largest = Math.max(...expected.map(Math.abs), 1e-3);
  expect(actual.length).toBe(expected.length);
  for (const [i, want] of expected.entries()) {
    expect(Math.abs((actual[i] ?? Number.NaN) - want)).toBeLessThanOrEqual(tolerance * largest);
  }
}

/** torch's symmetric zero point of a custom unsigned range. */
function optionsOf(entry: { qscheme: string; dtype: string; qmin: number; qmax: number }): QuantizerOptions {
  if (entry.qscheme.endsWith("affine")) return { scheme: "affine" };
  const middle = Math.floor((entry.qmin + entry.qmax) / 2);
  return { scheme: "symmetric", ...(entry.dtype === "quint8" ? { zeroPoint: middle } : {}) };
}

describe.skipIf(!isPresent)(
  `torch ${golden.torch}${isPresent ? "" : ": ../shared/golden/torch113.json is absent"}`,
  () => {
    it("reduce_range halves given limits", () => {
      for (const { qmin, qmax, reduce_range, out } of golden.calculate_qmin_qmax) {
        const range = codeRange(
          {
            quantizer: "uniform",
            bits: 8,
            signed: qmin < 0,
            quantMin: qmin,
            quantMax: qmax,
            reduceRange: reduce_range,
            granularity: "tensor",
            options: {},
          },
          false,
        );
        expect([range.min, range.max]).toEqual(out);
      }
      expect(golden.calculate_qmin_qmax.length).toBe(38);
    });

    it("scale and zero point of a range, classic and fused, in numbers", () => {
      for (const entry of golden.qparams) {
        const options = optionsOf(entry);
        const classic = uniformParameters(uniformSpec(entry.qmin, entry.qmax, options), entry.min, entry.max);
        expect([classic.scale, classic.zeroPoint + 0], JSON.stringify(entry)).toEqual([entry.scale, entry.zero_point]);
        if (entry.fused_scale === undefined) continue;
        const spec = uniformSpec(entry.qmin, entry.qmax, { ...options, convention: "fused" });
        const fused = uniformParameters(spec, entry.min, entry.max);
        expect([fused.scale, fused.zeroPoint + 0], JSON.stringify(entry)).toEqual([
          entry.fused_scale,
          entry.fused_zero_point,
        ]);
      }
      expect(golden.qparams.length).toBe(220);
    });

    for (const convention of ["classic", "fused"]) {
      it(`scale and zero point of a range, ${convention}, in the graph`, async () => {
        const entries = golden.qparams.filter((entry) => convention === "classic" || entry.fused_scale !== undefined);
        // One graph for each kind of quantizer, with every range as a channel.
        const kinds = new Map(entries.map((e) => [[e.qscheme, e.dtype, e.qmin, e.qmax].join(), e]));
        for (const [key, kind] of kinds) {
          const own = entries.filter((e) => [e.qscheme, e.dtype, e.qmin, e.qmax].join() === key);
          const spec = uniformSpec(kind.qmin, kind.qmax, { ...optionsOf(kind), convention });
          const b = newBuilder("range");
          const shape = [own.length];
          const range = {
            min: b.input("min", { dtype: "float32", shape }),
            max: b.input("max", { dtype: "float32", shape }),
          };
          for (const [name, value] of Object.entries(parametersFromRange(b, spec, range))) b.output(name, value);
          const run = await loadGraph(b.finish(), { registry: operators });
          const results = await run({
            min: float32Tensor(
              shape,
              own.map((e) => e.min),
            ),
            max: float32Tensor(
              shape,
              own.map((e) => e.max),
            ),
          });
          const { scale, zero_point: zeroPoint } = results;
          if (scale === undefined || zeroPoint === undefined) throw new Error("an output is missing");
          const isFused = convention === "fused";
          expectSame(
            float32Data(scale),
            own.map((e) => (isFused ? e.fused_scale : e.scale) ?? 0),
          );
          expectSame(
            float32Data(zeroPoint),
            own.map((e) => (isFused ? e.fused_zero_point : e.zero_point) ?? 0),
          );
        }
      });
    }

    /** Batches through an observer in the graph. */
    async function observe(spec: QuantizerSpec, batches: readonly Tensor[]) {
      const [first] = batches;
      if (first === undefined || spec.observer === undefined) throw new Error("nothing to observe");
      const observer = observerNamed(spec.observer.observer);
      const b = newBuilder("observer");
      const x = b.input("x", first);
      const kept = observer.state(spec, first);
      const state: Record<string, Value> = {};
      for (const { name, initial } of kept) state[name] = b.input(name, initial);
      const next = observer.update({ builder: b, spec, x, state });
      for (const [name, value] of Object.entries(next)) b.output(`next.${name}`, value);
      const range = observer.range({ builder: b, spec, state: next });
      for (const [name, value] of Object.entries(parametersFromRange(b, spec, range))) b.output(name, value);
      const run = await loadGraph(b.finish(), { registry: operators });
      let current: Record<string, Tensor> = Object.fromEntries(kept.map(({ name, initial }) => [name, initial]));
      const results = [];
      for (const batch of batches) {
        const result = await run({ x: batch, ...current });
        results.push(result);
        current = Object.fromEntries(kept.map(({ name, initial }) => [name, result[`next.${name}`] ?? initial]));
      }
      return results;
    }

    const movingAverage = { observer: "movingAverageMinMax", options: { averagingConstant: 0.01 } };

    it("moving average of the range", async () => {
      const entries = golden["moving_average_c0.01"];
      const spec = uniformSpec(0, 15, { scheme: "affine" }, { observer: movingAverage });
      const results = await observe(
        spec,
        entries.map(({ batch }) => float32Tensor([2], batch)),
      );
      for (const [i, entry] of entries.entries()) {
        const of = (name: string) => float32Data(results[i]?.[name] ?? filled([], Number.NaN))[0] ?? Number.NaN;
        expectSame(
          [of("next.min"), of("next.max"), of("scale"), of("zero_point")],
          [entry.min, entry.max, entry.scale, entry.zp],
        );
      }
      expect(entries.length).toBe(5);
    });

    it("moving average per channel", async () => {
      for (const { axis, shape, x1, min, max, scale, zp } of golden.moving_average_per_channel) {
        const spec = uniformSpec(-8, 7, { scheme: "symmetric" }, { observer: movingAverage, channelAxis: axis });
        const first = float32Tensor(shape, x1);
        const second = float32Tensor(
          shape,
          float32Data(first).map((x) => Math.fround(Math.fround(x * 1.5) - Math.fround(0.2))),
        );
        const [, result] = await observe(spec, [first, second]);
        expectSame(float32Data(result?.["next.min"] ?? filled([], 0)), min);
        expectSame(float32Data(result?.["next.max"] ?? filled([], 0)), max);
        expectSame(float32Data(result?.scale ?? filled([], 0)), scale);
        expectSame(float32Data(result?.zero_point ?? filled([], 0)), zp);
      }
      expect(golden.moving_average_per_channel.length).toBe(2);
    });

    for (const [i, entry] of golden.fake_quantize.entries()) {
      const { qmin, qmax, zp } = entry;
      it(`fake quantize ${i}: scale ${entry.scale}, zero point ${zp}, ${qmin}..${qmax}`, async () => {
        const x = float32Tensor([entry.x.length], entry.x);
        const parameters = parametersOf({ scale: entry.scale, zero_point: zp });
        const spec = uniformSpec(qmin, qmax, { scheme: "affine" });
        for (const target of [genericTarget, cpuTarget]) {
          const { y, dx } = await (await loadQuantizer(spec, x.shape, target))(x, parameters);
          expectSame(float32Data(y), entry.y);
          expectSame(float32Data(dx), entry.grad);
        }
        expectSame(float32Data(fromCodes(spec, toCodes(spec, x, parameters))), entry.y);

        const rows = float32Tensor([2, entry.x.length], [...entry.x, ...entry.x]);
        const perChannel = { ...spec, channelAxis: 0 };
        const own = parametersOf({ scale: entry.per_channel_scales, zero_point: [zp, zp] });
        for (const target of [genericTarget, cpuTarget]) {
          const result = await (await loadQuantizer(perChannel, rows.shape, target))(rows, own);
          expectSame(float32Data(result.y), entry.y_pc.flat());
          if (entry.grad_pc !== undefined) expectSame(float32Data(result.dx), entry.grad_pc.flat());
        }
        expectSame(float32Data(fromCodes(perChannel, toCodes(perChannel, rows, own))), entry.y_pc.flat());
      });
    }

    for (const [i, entry] of golden.learnable.entries()) {
      const { qmin, qmax, shape } = entry;
      it(`learnable ${i}: ${entry.per_channel ? "per channel" : "per tensor"}, zero point ${entry.zp[0]}`, async () => {
        const spec = specFor(
          "learnable",
          4,
          qmin < 0,
          {},
          {
            quantMin: qmin,
            quantMax: qmax,
            ...(entry.per_channel ? { channelAxis: entry.axis } : {}),
          },
        );
        const parameters = entry.per_channel
          ? parametersOf({ scale: entry.scale, zero_point: entry.zp })
          : parametersOf({ scale: entry.scale[0] ?? 0, zero_point: entry.zp[0] ?? 0 });
        const x = float32Tensor(shape, entry.x);
        const { y, dx, gradients } = await (await loadQuantizer(spec, shape))(
          x,
          parameters,
          float32Tensor(shape, entry.dy),
        );
        expectSame(float32Data(y), entry.y);
        expectSame(float32Data(dx), entry.dx);
        expectSame(float32Data(fromCodes(spec, toCodes(spec, x, parameters))), entry.y);
        // Sums of 24 terms: torch adds them in another order.
        expectClose(float32Data(gradients.scale ?? filled([], 0)), entry.dscale, 1e-6);
        expectClose(float32Data(gradients.zero_point ?? filled([], 0)), entry.dzp, 1e-6);
      });
    }

    for (const entry of golden.histogram_bins2048) {
      it(`histogram of ${entry.data}, ${entry.bits} bits, ${entry.dst_nbins} levels`, () => {
        const normal = gaussian(4000, 1);
        const positive = normal.map((x) => Math.max(x, 0));
        const withOutlier = Float32Array.from([...positive, 20]);
        const data = entry.data.startsWith("relu(") ? positive : entry.data.startsWith("gauss") ? normal : withOutlier;
        // integerEdges: torch 1.13 cuts the edges of its histogram to integers.
        const spec = uniformSpec(0, 2 ** entry.bits - 1, { integerEdges: true, histogramLevels: entry.dst_nbins });
        const calibrator = histogramCalibrator(spec, 2 ** entry.bits);
        calibrator.observe(data);
        expectSame([calibrator.observed.min, calibrator.observed.max], [entry.min_val, entry.max_val]);
        expect(calibrator.counts.filter((count) => count > 0).length).toBe(entry.hist_nonzero);
        const range = calibrator.range();
        expectSame([range.min, range.max], [entry.search_min, entry.search_max]);
        const { scale, zeroPoint } = uniformParameters(spec, range.min, range.max);
        expect([scale, zeroPoint]).toEqual([entry.scale, entry.zp]);
      });
    }
  },
);
