/**
 * Small floating-point formats: FP8 E4M3 and E5M2 (Micikevicius et al., arXiv 2209.05433), FP6 E3M2 and E2M3, FP4 E2M1 (OCP
 * Microscaling Formats 1.0), saturating, with subnormals, without infinities; and MX, their block with a shared exponent.
 *
 * y = s·f(x/s), f the nearest number of the format. `scale`:
 * - "tensor" (default): s = max|x|/(largest number), from the initial sample, an `initializer` or an observer;
 * - "none": s = 1;
 * - "mx": s = 2^(⌊log₂ max|x|⌋ − emax) over the elements that share it, computed from the values at every step; with
 *   groupSize 32 this is an MX block. The exponent is limited to −127..127, that of a block of zeros is −127.
 * Gradient: straight through; 0 outside ±s·largest, except for "mx", where it passes everywhere (as in microxcaling).
 *
 * Rounding: to the even mantissa on a tie; `rounding: "away"` rounds ties away from zero, microxcaling's default (the
 * formats of 6 and 4 bits; FP8 goes through the engine's own FP8 type, which rounds to even).
 * Integers: multiples of the smallest subnormal, except E5M2, whose largest number is 57344·2¹⁶ of them.
 * Options: `format` "e4m3", "e5m2", "e3m2", "e2m3", "e2m1" (default by bits: 8, 6, 4), `scale`, `rounding`.
 */

import { clamp } from "../../base/rounding.ts";
import type { Value } from "../../ir/graph.ts";
import type { DType } from "../../ir/types.ts";
import { notNegative, positive } from "../../ops/build/masks.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import {
  absolute,
  add,
  divide,
  floor,
  logarithm,
  maximum,
  minimum,
  multiply,
  negate,
  power,
  reciprocal,
  subtract,
} from "../../ops/families/elementwise.ts";
import { reduceMax } from "../../ops/families/reduce.ts";
import { checkWholeRange, isUnsigned, parameterOf, smallestScale, startFromRange } from "../arithmetic/learned.ts";
import { lookUpLevel, mirrored, nearestLevel, tablesBy } from "../arithmetic/levels.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { encodeWith, scalarParameter, statisticsOf, unitOf } from "../arithmetic/scalar.ts";
import {
  type GroupParameters,
  type IntegerForm,
  legalScale,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
  sharedAxes,
} from "../definition.ts";

const { fround } = Math;

interface Format {
  readonly bits: number;
  /** Bits of the mantissa after the leading one. */
  readonly mantissa: number;
  /** The exponent of the smallest normal number. */
  readonly lowest: number;
  /** The exponent of the largest number (MX's emax). */
  readonly highest: number;
  readonly largest: number;
  /** The engine's type, where it has one. */
  readonly dtype?: DType;
}

/** The formats by name. */
export const minifloatFormats: Readonly<Record<string, Format>> = {
  e4m3: { bits: 8, mantissa: 3, lowest: -6, highest: 8, largest: 448, dtype: "float8e4m3fn" },
  e5m2: { bits: 8, mantissa: 2, lowest: -14, highest: 15, largest: 57344, dtype: "float8e5m2" },
  e3m2: { bits: 6, mantissa: 2, lowest: -2, highest: 4, largest: 28 },
  e2m3: { bits: 6, mantissa: 3, lowest: 0, highest: 2, largest: 7.5 },
  e2m1: { bits: 4, mantissa: 1, lowest: 0, highest: 2, largest: 6 },
};

const byBits: Readonly<Record<number, string>> = { 8: "e4m3", 6: "e3m2", 4: "e2m1" };

function formatName(spec: QuantizerSpec): string {
  const { format } = spec.options;
  return typeof format === "string" ? format : (byBits[spec.bits] ?? "");
}

function formatOf(spec: QuantizerSpec): Format {
  const format = minifloatFormats[formatName(spec)];
  if (format === undefined) throw new Error(`there is no float format for ${spec.bits} bits`);
  return format;
}

/** The distance between subnormal numbers: what the integers count. */
function unitOfFormat(format: Format): number {
  return 2 ** (format.lowest - format.mantissa);
}

/** Whether the largest number is an int32 multiple of the smallest. */
function fitsIntegers(format: Format): boolean {
  return format.largest / unitOfFormat(format) < 2 ** 31;
}

/** Every number of a format from 0 up, in units of the smallest. */
export function magnitudesOf(format: Format): number[] {
  const steps = 2 ** format.mantissa;
  const magnitudes = Array.from({ length: steps }, (_, i) => i);
  for (let exponent = format.lowest; exponent <= format.highest; exponent++) {
    for (let i = 0; i < steps; i++) magnitudes.push((steps + i) * 2 ** (exponent - format.lowest));
  }
  return magnitudes.filter((magnitude) => magnitude * unitOfFormat(format) <= format.largest);
}

const tableOf = tablesBy(
  (spec) => `${formatName(spec)} ${isUnsigned(spec)} ${spec.options.rounding}`,
  (spec) => {
    const ties = spec.options.rounding === "away" ? "away" : "even";
    const magnitudes = magnitudesOf(formatOf(spec));
    // Numbers in ascending order have ascending bit patterns: the last mantissa bit is the place's parity.
    const even = new Set(magnitudes.filter((_, i) => i % 2 === 0));
    const levels = isUnsigned(spec) ? magnitudes : mirrored(magnitudes);
    return { levels, ties, isEven: (level) => even.has(Math.abs(level)) };
  },
);

function scaleKind(spec: QuantizerSpec): "tensor" | "none" | "mx" {
  const { scale } = spec.options;
  return scale === "none" || scale === "mx" ? scale : "tensor";
}

/** 2^(⌊log₂ max|x|⌋ − emax), the logarithm made exact by comparing with the power that it gives. */
function sharedScale(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const axes = sharedAxes(spec, x.type.shape.length);
  const magnitude = absolute(builder, x);
  const largest = axes.length === 0 ? magnitude : reduceMax(builder, magnitude, axes);
  const safe = maximum(builder, largest, 2 ** -126);
  const rough = floor(builder, multiply(builder, logarithm(builder, safe), Math.LOG2E));
  const tooHigh = positive(builder, subtract(builder, power(builder, 2, rough), safe));
  const next = power(builder, 2, add(builder, rough, 1));
  const tooLow = notNegative(builder, subtract(builder, safe, next));
  const exponent = add(builder, subtract(builder, rough, tooHigh), tooLow);
  const shared = clip(builder, subtract(builder, exponent, formatOf(spec).highest), -127, 127);
  return power(builder, 2, shared);
}

function sharedScaleOf(spec: QuantizerSpec, row: Float32Array): number {
  const safe = Math.max(statisticsOf(row).maxMagnitude, 2 ** -126);
  let exponent = Math.floor(Math.log2(safe));
  if (2 ** exponent > safe) exponent--;
  if (2 ** (exponent + 1) <= safe) exponent++;
  return 2 ** clamp(exponent - formatOf(spec).highest, -127, 127);
}

/** s, or undefined where it is 1. */
function scaleOf(context: QuantizerContext): Value | undefined {
  const kind = scaleKind(context.spec);
  if (kind === "none") return undefined;
  return kind === "mx" ? sharedScale(context) : parameterOf(context, "scale");
}

/** x/s as the forward pass computes it. */
function quotient(context: QuantizerContext, scale: Value | undefined): Value {
  const { builder, x } = context;
  return scale === undefined ? x : multiply(builder, x, reciprocal(builder, scale));
}

/** f, as a number of the format. */
function nearestNumber(context: QuantizerContext, v: Value): Value {
  const { builder, spec } = context;
  const format = formatOf(spec);
  if (format.dtype === undefined) {
    const unit = unitOfFormat(format);
    return multiply(builder, lookUpLevel(builder, v, 1 / unit, tableOf(spec)), unit);
  }
  const inside = clip(builder, v, isUnsigned(spec) ? 0 : -format.largest, format.largest);
  return cast(builder, cast(builder, inside, format.dtype), "float32");
}

function scaleNumber(
  spec: QuantizerSpec,
  parameters: GroupParameters,
  row: Float32Array | undefined,
): number | undefined {
  const kind = scaleKind(spec);
  if (kind === "none") return 1;
  if (kind === "tensor") return scalarParameter(parameters, "scale");
  return row === undefined ? undefined : sharedScaleOf(spec, row);
}

const integers: IntegerForm = {
  codes: (spec) => tableOf(spec).levels,
  unit(spec, parameters, row) {
    const scale = scaleNumber(spec, parameters, row);
    return scale === undefined || !fitsIntegers(formatOf(spec))
      ? undefined
      : unitOf(scale * unitOfFormat(formatOf(spec)));
  },
  encode(spec, parameters, row) {
    const inverse = fround(1 / (scaleNumber(spec, parameters, row) ?? 1));
    const unit = unitOfFormat(formatOf(spec));
    const table = tableOf(spec);
    const [low, high] = [table.levels[0] ?? 0, table.levels.at(-1) ?? 0];
    return encodeWith(row, (x) => nearestLevel(table, clamp(fround(x * inverse) / unit, low, high)));
  },
};

function numbersFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  if (scaleKind(spec) !== "tensor") return {};
  const magnitude = isUnsigned(spec) ? max : Math.max(-min, max);
  return { scale: Math.max(magnitude / formatOf(spec).largest, smallestScale) };
}

/** Floats of 4 to 8 bits (arXiv 2209.05433, OCP MX 1.0). */
export const minifloat: QuantizerDefinition = {
  name: "minifloat",
  traits: { masksOutside: false, fixedSign: true, torchRange: false },
  options: { format: Object.keys(minifloatFormats), scale: ["tensor", "none", "mx"], rounding: ["even", "away"] },

  parameters: (spec, type) =>
    scaleKind(spec) === "tensor"
      ? [{ name: "scale", shape: parameterShape(spec, type), trainable: false, initial: 1, legal: legalScale }]
      : [],

  ...startFromRange(numbersFromRange),

  fromRange(builder, spec, { min, max }) {
    const low = isUnsigned(spec) ? max : maximum(builder, negate(builder, minimum(builder, min, 0)), max);
    return { scale: maximum(builder, divide(builder, low, formatOf(spec).largest), smallestScale) };
  },

  forward(context) {
    const scale = scaleOf(context);
    const number = nearestNumber(context, quotient(context, scale));
    return scale === undefined ? number : multiply(context.builder, number, scale);
  },

  gradient(context) {
    const { builder, spec, dy } = context;
    if (scaleKind(spec) === "mx") return { x: dy, parameters: {} };
    const { largest } = formatOf(spec);
    const v = quotient(context, scaleOf(context));
    const low = isUnsigned(spec) ? 0 : -largest;
    const mask = insideRange(builder, v, { low, high: largest, nonNegative: spec.nonNegative === true });
    return { x: multiply(builder, dy, mask), parameters: {} };
  },

  levels: (spec) => tableOf(spec).levels.length,

  integers,

  check(spec) {
    const name = formatName(spec);
    const format = minifloatFormats[name];
    if (format === undefined || format.bits !== spec.bits) {
      const fitting = Object.keys(minifloatFormats).filter((known) => minifloatFormats[known]?.bits === spec.bits);
      return {
        message:
          name === "" ? `there is no float format of ${spec.bits} bits` : `"${name}" is no format of ${spec.bits} bits`,
        remedy:
          fitting.length > 0
            ? `Set options.format to one of: ${fitting.join(", ")}.`
            : "Use 8 bits (e4m3, e5m2), 6 (e3m2, e2m3) or 4 (e2m1).",
      };
    }
    if (spec.options.rounding === "away" && format.dtype !== undefined) {
      return { message: `${name} rounds to even only`, remedy: "Leave options.rounding out." };
    }
    return checkWholeRange(spec, name);
  },
};
