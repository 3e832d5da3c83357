/**
 * Laws that every quantizer keeps, by random tensors and parameters through ONNX Runtime: the values are those that the
 * codes stand for (the scalar form agrees with the graph to the bit), no more of them than `levels` says, in order, and
 * unchanged when quantized again.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { decode } from "../../src/quantizers/arithmetic/scalar.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";
import { gridOf, toCodes } from "../../src/quantizers/integers.ts";
import { cpuTarget, fromCodes, loadQuantizer, specFor } from "../support/training/quantizer.ts";

interface Law {
  readonly spec: QuantizerSpec;
  /** Its scale follows from the values, summed in an order of the engine's own: equal to rounding, not to the bit. */
  readonly summed?: boolean;
  /** The reason why quantizing again changes the values: the source's own normalisation. */
  readonly notIdempotent?: string;
  /** No integer form, by its range. */
  readonly withoutIntegers?: boolean;
}

const tanh = "tanh and the maximum are taken again";
const normalisation = "the weights are normalised again";

function uniformKinds(quantizer: string): Law[] {
  const widths = [1, 2, 3, 4, 8, 16].flatMap((bits) => [
    specFor(quantizer, bits, true),
    specFor(quantizer, bits, false),
  ]);
  const narrow = specFor(quantizer, 4, true, {}, { quantMin: -7 });
  const grouped = specFor(quantizer, 4, true, {}, { groupSize: 5 });
  const channels = [0, 1].map((channelAxis) => specFor(quantizer, 4, true, {}, { channelAxis }));
  return [...widths, narrow, grouped, ...channels].map((spec) => ({ spec }));
}

const laws: readonly Law[] = [
  ...uniformKinds("uniform"),
  { spec: specFor("uniform", 4, true, { scheme: "symmetric" }, { channelAxis: 0 }) },
  { spec: specFor("uniform", 4, true, { scheme: "symmetric", convention: "fused" }) },
  { spec: specFor("uniform", 4, false, { convention: "pre-1.12" }) },
  ...uniformKinds("lsq"),
  ...uniformKinds("lsq+"),
  { spec: specFor("lsq+", 4, true, { offset: false }, { channelAxis: 0 }) },
  ...uniformKinds("learnable"),
  { spec: specFor("learnable", 4, true, { scheme: "symmetric" }) },
  ...uniformKinds("ewgs"),
  ...uniformKinds("tqt"),
  ...uniformKinds("pact").filter(({ spec }) => spec.quantMax > 0),
  ...[1, 2, 4, 8].map((bits) => ({ spec: specFor("dorefa", bits, true), summed: true, notIdempotent: tanh })),
  { spec: specFor("dorefa", 4, true, {}, { channelAxis: 0 }), summed: true, notIdempotent: tanh },
  ...[1, 2, 4, 8].map((bits) => ({ spec: specFor("dorefa", bits, false) })),
  { spec: specFor("dorefa", 4, true, { form: "activations" }) },
  ...[2, 3, 4, 5, 6, 7].map((bits) => ({
    spec: specFor("apot", bits, true),
    summed: true,
    notIdempotent: normalisation,
  })),
  ...[2, 3, 4, 5, 6, 7].map((bits) => ({
    spec: specFor("apot", bits, true, { normalize: false }, { channelAxis: 0 }),
  })),
  { spec: specFor("apot", 8, true) },
  ...[1, 2, 3, 4, 5, 6, 8].map((bits) => ({ spec: specFor("apot", bits, false) })),
  ...[2, 4, 6, 8].map((bits) => ({ spec: specFor("apotTorch", bits, false) })),
  { spec: specFor("apotTorch", 4, false, { k: 4 }) },
  { spec: specFor("apotTorch", 4, true, { k: 1 }) },
  { spec: specFor("apotTorch", 5, true) },
  { spec: specFor("apotTorch", 4, true, { signedLevels: "torch" }, { channelAxis: 1 }) },
  { spec: specFor("apotTorch", 4, true, { alwaysUnsigned: true }), notIdempotent: "torch's −α is above its own clip" },
  ...[1, 2, 3, 4, 8].map((bits) => ({ spec: specFor("powerOfTwo", bits, false) })),
  ...[2, 3, 4, 5, 8].map((bits) => ({ spec: specFor("powerOfTwo", bits, true, {}, { channelAxis: 0 }) })),
  { spec: specFor("binary", 1, true, {}, { channelAxis: 0 }), summed: true },
  { spec: specFor("binary", 1, true, { scale: "none" }) },
  { spec: specFor("ternary", 2, true, {}, { channelAxis: 0 }), summed: true },
  ...["e4m3", "e5m2"].map((format) => ({
    spec: specFor("minifloat", 8, true, { format }),
    withoutIntegers: format === "e5m2",
  })),
  ...["e3m2", "e2m3"].map((format) => ({ spec: specFor("minifloat", 6, true, { format }, { channelAxis: 0 }) })),
  { spec: specFor("minifloat", 4, true) },
  { spec: specFor("minifloat", 4, false, { rounding: "away" }) },
  { spec: specFor("minifloat", 4, true, { scale: "none" }) },
  { spec: specFor("minifloat", 4, true, { scale: "mx" }, { groupSize: 5 }) },
  { spec: specFor("minifloat", 8, true, { scale: "mx" }, { groupSize: 15 }) },
  ...[1, 2, 3, 4, 8].map((bits) => ({
    spec: specFor("n2uq", bits, false),
    notIdempotent: "inputs and outputs differ in scale",
  })),
  {
    spec: specFor("n2uq", 4, false, {}, { quantMax: 10 }),
    notIdempotent: "inputs and outputs differ in scale",
  },
  ...[1, 2, 4].map((bits) => ({
    spec: specFor("n2uq", bits, true, {}, { channelAxis: 0 }),
    summed: true,
    notIdempotent: "the mean magnitude is taken again",
  })),
];

const shape = [4, 15];
const size = 60;

function describeSpec({ quantizer, bits, quantMin, channelAxis, groupSize, options }: QuantizerSpec): string {
  const kind = `${quantMin < 0 ? "signed" : "unsigned"} from ${quantMin}`;
  const place = groupSize === undefined ? `axis ${channelAxis ?? "none"}` : `groups of ${groupSize}`;
  return `${quantizer} ${bits} bits ${kind}, ${place} ${JSON.stringify(options)}`;
}

/** Values around the grid: anywhere, on half steps, far away, zero. */
const values = fc.array(
  fc.oneof(
    fc.double({ min: -3, max: 3, noNaN: true }),
    fc.integer({ min: -40, max: 40 }).map((i) => i / 8),
    fc.constantFrom(0, -0, 50, -50, 1e-6, -1e-6),
  ),
  { minLength: size, maxLength: size },
);

/** A parameter's value from a number in [0, 1): scales and thresholds of ordinary size. */
function parameterValue(name: string, spec: QuantizerSpec, part: number): number {
  if (name === "zero_point" && spec.options.scheme === "symmetric") return 0;
  if (name === "zero_point") return Math.round(spec.quantMin + part * (spec.quantMax - spec.quantMin));
  if (name === "scale") return (0.1 + 3 * part) / Math.max(spec.quantMax, 1);
  if (name === "log2_threshold") return 4 * part - 2;
  if (name === "offset" || name === "start") return 2 * part - 1;
  if (name === "intervals") return (0.2 + 2 * part) / spec.quantMax;
  return 0.1 + 3 * part;
}

function parametersFor(spec: QuantizerSpec, parts: readonly number[]): ReadonlyMap<string, Tensor> {
  const kept = quantizerNamed(spec.quantizer).parameters(spec, { dtype: "float32", shape });
  let next = 0;
  return new Map(
    kept.map(({ name, shape: own }) => {
      const count = own.reduce((product, length) => product * length, 1);
      const numbers = Array.from({ length: count }, () =>
        parameterValue(name, spec, parts[next++ % parts.length] ?? 0),
      );
      return [name, float32Tensor(own, numbers)];
    }),
  );
}

/** The indices of the elements that share parameters. */
function groupsOf(spec: QuantizerSpec): number[][] {
  const key = (i: number) => {
    if (spec.groupSize !== undefined) return Math.floor(i / spec.groupSize);
    if (spec.channelAxis === undefined) return 0;
    return spec.channelAxis === 0 ? Math.floor(i / 15) : i % 15;
  };
  const groups = new Map<number, number[]>();
  for (let i = 0; i < size; i++) groups.set(key(i), [...(groups.get(key(i)) ?? []), i]);
  return [...groups.values()];
}

const plain = (value: number) => value + 0;

describe("laws of quantizers", () => {
  it("cover every quantizer", () => {
    expect(new Set(laws.map(({ spec }) => spec.quantizer))).toEqual(new Set(quantizers.keys()));
  });

  for (const { spec, summed = false, notIdempotent, withoutIntegers = false } of laws) {
    it(describeSpec(spec), async () => {
      const definition = quantizerNamed(spec.quantizer);
      expect(definition.check?.(spec, { dtype: "float32", shape })).toBeUndefined();
      const run = await loadQuantizer(spec, shape);
      const onCpu = await loadQuantizer(spec, shape, cpuTarget);
      const groups = groupsOf(spec);
      await fc.assert(
        fc.asyncProperty(
          values,
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 16 }),
          async (numbers, parts) => {
            const x = float32Tensor(shape, numbers);
            const parameters = parametersFor(spec, parts);
            const result = await run(x, parameters);
            const y = float32Data(result.y);
            const other = await onCpu(x, parameters);
            expect(Array.from(float32Data(other.y), plain)).toEqual(Array.from(y, plain));
            expect(Array.from(float32Data(other.dx), plain)).toEqual(Array.from(float32Data(result.dx), plain));
            for (const group of groups) {
              const order = group.toSorted((a, b) => (float32Data(x)[a] ?? 0) - (float32Data(x)[b] ?? 0));
              const ordered = order.map((i) => y[i] ?? Number.NaN);
              expect(ordered.every((value, i) => i === 0 || value >= (ordered[i - 1] ?? 0))).toBe(true);
              expect(new Set(ordered.map(plain)).size).toBeLessThanOrEqual(definition.levels(spec));
            }
            if (notIdempotent === undefined) {
              const again = float32Data((await run(float32Tensor(shape, y.slice()), parameters)).y);
              if (summed)
                expect(again.every((value, i) => Math.abs(value - (y[i] ?? 0)) <= 1e-5 * Math.abs(value))).toBe(true);
              else expect(Array.from(again, plain)).toEqual(Array.from(y, plain));
            }
            if (withoutIntegers) return;
            const coded = toCodes(spec, x, parameters);
            const decoded = float32Data(fromCodes(spec, coded));
            if (summed) {
              // A value within rounding of a threshold may fall to either side of it: one in a thousand here, if any.
              const apart = decoded.filter(
                (value, i) => Math.abs(value - (y[i] ?? 0)) > 1e-5 * Math.max(1, Math.abs(value)),
              );
              expect(apart.length).toBeLessThanOrEqual(1);
            } else {
              expect(Array.from(decoded, plain)).toEqual(Array.from(y, plain));
            }
            const allowed = new Set(definition.integers?.codes(spec));
            expect(coded.codes.every((code) => allowed.has(code))).toBe(true);
            const recoded = toCodes(spec, float32Tensor(shape, decoded), parameters);
            if (notIdempotent === undefined && !summed) expect(recoded.codes).toEqual(coded.codes);
          },
        ),
        { numRuns: 12 },
      );
    });
  }

  it("the grid of the parameters is that of the codes", () => {
    const spec = specFor("lsq+", 3, true, {}, { channelAxis: 0 });
    const parameters = parametersFor(spec, [0.1, 0.7, 0.4]);
    const x = float32Tensor(
      shape,
      Array.from({ length: size }, (_, i) => Math.sin(i)),
    );
    const grid = gridOf(spec, parameters);
    expect(grid).toEqual(toCodes(spec, x, parameters).grid);
    expect(grid?.units.length).toBe(4);
    expect(grid?.codes).toEqual([-4, -3, -2, -1, 0, 1, 2, 3]);
  });

  it("a number of levels is the number of codes, and their values differ", () => {
    for (const { spec, withoutIntegers = false } of laws) {
      if (withoutIntegers) continue;
      const definition = quantizerNamed(spec.quantizer);
      const codes = definition.integers?.codes(spec) ?? [];
      expect(codes.length, describeSpec(spec)).toBe(definition.levels(spec));
      const unit = { scale: Math.fround(0.3), zeroPoint: 0, offset: 0 };
      expect(codes.every((code, i) => i === 0 || decode(unit, code) > decode(unit, codes[i - 1] ?? 0))).toBe(true);
    }
  });
});
