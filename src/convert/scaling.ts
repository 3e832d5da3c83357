/**
 * From a sum in real numbers to the terms of a requantization: multipliers, integer biases, shifts.
 *
 * A layer that is requantized by itself takes its offset as an integer bias, as QLinearConv does; every other sum takes it
 * as a float32 offset. docs/integer.md has the reasons.
 */

import { clamp, roundHalfEven } from "../base/rounding.ts";
import { UnsupportedError } from "../errors.ts";
import type { Affine, AffineTerm } from "./assembly/symbolic.ts";
import { type IntegerWeight, multipliers, type TensorForm, type Term } from "./integer-network.ts";
import { accumulatorBound, type ChannelBounds, floatBound, largest } from "./ranges.ts";

/** A channel whose accumulator moves the output by less than this share of a step is a constant. */
const negligibleStep = 2 ** -10;
/** The same where the bias would not fit next to so small an accumulator. */
const tolerableStep = 2 ** -6;
/** The rounding of the bias may move the output by this share of a step. */
const biasTolerance = 2 ** -7;
/** Biases stay below this, so that an accumulator with its bias stays below 2³¹. */
const biasBound = 2 ** 30;
/** Multipliers of sums of codes are not cut finer than to multiples of 2^−64. */
const finestExponent = 64;
/** Nor coarser than to 2⁶: ONNX Runtime's QLinearAdd takes t to int32 before it limits it, and 2⁶·2²⁴ is below 2³¹. */
const coarsestExponent = -6;
/** Machines without VNNI add pairs of products in 16 bits, saturated (ONNX Runtime's kernels for AVX2). */
const pairBound = 2 ** 15 - 1;

/** Terms and offset as an operation holds them. */
export interface SumParts {
  readonly terms: readonly Term[];
  readonly offset?: Float32Array;
}

/** A sum whose terms are scaled as they are, its offset in float32. */
export function floatOffsetSum(affine: Affine, step: number): SumParts {
  const terms = affine.terms.map((term) => plainTerm(term));
  checkMultipliers(affine.name, terms, step);
  if (affine.offset.every((value) => value === 0)) return { terms };
  const offset = Float32Array.from(affine.offset, (value) => value / step);
  if (!offset.every(Number.isFinite)) throw notFinite(affine.name, "offset");
  return { terms, offset };
}

/**
 * A sum of two codes or more and nothing else: a residual addition. Its multipliers are rounded to multiples of 2^−e, with the
 * largest e for which float32 holds every product and every sum exactly. Then the order of the operations, and whether a
 * machine fuses them, is of no consequence: any addition of quantized tensors (QLinearAdd) gives the same codes. Where the
 * output's step is so small that t could pass int32, the multipliers are left as they are, and the sum is made step by step.
 *
 * @param forms The forms of the terms' tensors.
 */
export function exactSum(affine: Affine, forms: readonly TensorForm[], output: TensorForm): SumParts {
  const plain = affine.terms.map((term) => plainTerm(term));
  checkMultipliers(affine.name, plain, output.scale);
  const factors = plain.map((term) => multipliers(term, output.scale)[0] ?? 0);
  const widths = forms.map(storedWidth);
  const units = (exponent: number): number[] =>
    factors.map((factor) => (Math.sign(factor) || 1) * Math.max(1, Math.round(Math.abs(factor) * 2 ** exponent)));
  // Stored codes and their zero points both reach the width; the output's zero point is added to the sum.
  const reach = (exponent: number): number =>
    units(exponent).reduce((sum, unit, i) => sum + 2 * (widths[i] ?? 0) * Math.abs(unit), 0) +
    storedWidth(output) * 2 ** exponent;
  let exponent = finestExponent;
  while (reach(exponent) >= floatBound && exponent > coarsestExponent) exponent--;
  if (reach(exponent) >= floatBound) return { terms: plain };
  const chosen = units(exponent);
  return { terms: plain.map((term, i) => ({ ...term, multiplier: (chosen[i] ?? 0) * 2 ** -exponent })) };
}

/** The largest number that stands for a code where codes are stored from 0 up. */
function storedWidth({ low, high, zeroPoint }: TensorForm): number {
  return Math.max(high, zeroPoint) - Math.min(low, zeroPoint, 0);
}

function plainTerm({ tensor, inputScale, gains }: AffineTerm): Term {
  const uniform = gains.every((gain) => gain === gains[0]);
  return { input: tensor, shift: 0, inputScale, gains: Float32Array.from(uniform ? gains.slice(0, 1) : gains) };
}

/** A term whose bias is part of its accumulator. */
export interface BiasedTerm {
  readonly term: Term;
  /** Channels that turned out to be constants: their weights must be 0. */
  readonly constant: readonly number[];
}

/**
 * The single term of a layer with its bias in the accumulator.
 *
 * @param output The form of the codes, with the limits that are in force.
 */
export function biasedTerm(
  affine: Affine,
  source: AffineTerm,
  layer: { readonly weight: IntegerWeight; readonly input: TensorForm; readonly bounds: ChannelBounds },
  output: TensorForm,
): BiasedTerm {
  const { inputScale } = source;
  const { magnitude } = layer.bounds;
  const step = output.scale;
  const constant: number[] = [];
  source.gains.forEach((gain, k) => {
    const moves = ((magnitude[k] ?? 0) * Math.abs(inputScale * gain)) / step;
    const middle = (affine.offset[k] ?? 0) / step + output.zeroPoint;
    const isOutside = middle - moves > output.high + 1 || middle + moves < output.low - 1;
    const bias = Math.abs((affine.offset[k] ?? 0) / (inputScale * gain));
    const isLost = bias > biasBound && moves < tolerableStep;
    if (moves < negligibleStep || isOutside || isLost) constant.push(k);
  });
  const isConstant = new Set(constant);
  const biased = affine.offset.some((value, k) => value !== 0 && !isConstant.has(k));
  const steps = source.gains.map((gain, k) => (isConstant.has(k) ? 0 : Math.abs(inputScale * gain) / step));
  const shift = biased ? usefulShift(largest(steps), layer) : 0;
  const constantGain = (step * negligibleStep) / inputScale;
  const gains = Float32Array.from(source.gains, (gain, k) =>
    isConstant.has(k) ? constantGain : Math.fround(gain) * 2 ** -shift,
  );
  const bias = Int32Array.from(affine.offset, (value, k) => {
    const exact = Math.fround(value / (inputScale * (gains[k] ?? 1)));
    if (isConstant.has(k)) return roundHalfEven(clamp(exact, -biasBound, biasBound));
    const widest = (magnitude[k] ?? 0) * 2 ** shift + Math.abs(exact);
    if (!(Math.abs(exact) <= biasBound) || widest >= accumulatorBound) throw tooLarge(affine.name, k, widest);
    return roundHalfEven(exact);
  });
  const hasBias = bias.some((value) => value !== 0);
  const term: Term = { input: source.tensor, shift, inputScale, gains, ...(hasBias ? { bias } : {}) };
  checkMultipliers(affine.name, [term], step);
  return { term, constant };
}

/** The least shift that makes the bias fine enough, as far as the container, the simulation and AVX2 allow. */
function usefulShift(
  steps: number,
  {
    weight,
    input,
    bounds,
  }: { readonly weight: IntegerWeight; readonly input: TensorForm; readonly bounds: ChannelBounds },
): number {
  const fits = (shift: number): boolean =>
    weight.low * 2 ** shift >= -128 &&
    weight.high * 2 ** shift <= 127 &&
    largest(bounds.magnitude) * 2 ** shift < floatBound &&
    2 * Math.max(-weight.low, weight.high) * 2 ** shift * (input.high - Math.min(input.low, 0)) <= pairBound;
  let shift = 0;
  while (steps * 2 ** -shift > 2 * biasTolerance && fits(shift + 1)) shift++;
  return shift;
}

function checkMultipliers(name: string, terms: readonly Term[], step: number): void {
  for (const term of terms) if (!multipliers(term, step).every(Number.isFinite)) throw notFinite(name, "multiplier");
}

function notFinite(name: string, what: string): UnsupportedError {
  return new UnsupportedError(`a ${what} of its requantization is not a finite float32`, {
    where: `"${name}"`,
    remedy: "Check the scales and the BatchNormalization of this layer: the training diverged here.",
  });
}

function tooLarge(name: string, channel: number, value: number): UnsupportedError {
  return new UnsupportedError(
    `the accumulator of channel ${channel} could reach ${value.toExponential(2)} with its bias, an int32 holds 2³¹`,
    {
      where: `"${name}"`,
      remedy:
        "Give this layer fewer bits, or look at its bias: it is very large compared with what the weights can add.",
    },
  );
}
