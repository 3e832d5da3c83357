/** Specs of every quantizer, and random tensors and parameters for them. */
import fc from "fast-check";
import { float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed } from "../../src/quantizers/index.ts";
import { specFor } from "../support/training/quantizer.ts";

/** A spec that quantizers keep laws for. */
export interface Law {
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

/** Every quantizer in every form, at several widths. */
export const laws: readonly Law[] = [
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

/** The shape of the tensors, and its elements. */
export const shape = [4, 15];
export const size = 60;

/** Names a spec in a test. */
export function describeSpec({ quantizer, bits, quantMin, channelAxis, groupSize, options }: QuantizerSpec): string {
  const kind = `${quantMin < 0 ? "signed" : "unsigned"} from ${quantMin}`;
  const place = groupSize === undefined ? `axis ${channelAxis ?? "none"}` : `groups of ${groupSize}`;
  return `${quantizer} ${bits} bits ${kind}, ${place} ${JSON.stringify(options)}`;
}

/** Values around the grid: anywhere, on half steps, far away, zero. */
export const values = fc.array(
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

/** Parameters of ordinary size from numbers in [0, 1). */
export function parametersFor(spec: QuantizerSpec, parts: readonly number[]): ReadonlyMap<string, Tensor> {
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
