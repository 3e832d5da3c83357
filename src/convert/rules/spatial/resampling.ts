/** Rules of interpolation, and of averages of windows that reach over the border: sums by integer weights, whose division goes into the factor. */
import type { Tensor } from "../../../ir/tensor.ts";
import { type AxisInterpolation, interpolationOf } from "../../../ops/families/resize.ts";
import { type Codes, type Symbolic, uniformSum } from "../../assembly/symbolic.ts";
import type { AxisWeights, WindowGeometry } from "../../integer-network.ts";
import { floatBound, weightedBounds } from "../../ranges.ts";
import { type IntegerRule, nodeShape, onlyTwoAxes, type RuleContext, symbolicInput, unsupported } from "../rule.ts";
import { overOneAxis, overTwoAxes, withTwoAxes } from "./one-axis.ts";

/** The largest common denominator of the weights of an axis that is tried. */
const mostParts = 4096;
/** Weights are computed in float64: what is nearer to a whole number than this is one. */
const tolerance = 1e-6;

/** Interpolation as a sum of integers, where all weights along an axis are multiples of 1/n. */
export const interpolationRule: IntegerRule = (context) => {
  const { assembly, node, inputs } = context;
  const constant = (index: number): Tensor | undefined => {
    const value = inputs[index];
    return value?.kind === "constant" ? value.tensor : undefined;
  };
  const plans = interpolationOf(node, constant);
  if (plans === undefined) throw unsupported(node, "it smooths (antialias) or leaves out what is outside");
  const given = assembly.readyCodes(symbolicInput(context, 0));
  if (given === undefined) {
    throw unsupported(
      node,
      "its input is not quantized",
      "Train with --set quantization.residualBits=8, or convert with --residual-bits 8: interpolation adds up codes.",
    );
  }
  if (plans.some(({ axis }) => axis < 2)) throw unsupported(node, "it interpolates between channels or samples");
  return weighted(context, given, (axis, size) => {
    const plan = plans.find((each) => each.axis === axis);
    return plan === undefined ? unchanged(size) : wholeWeights(context, plan);
  });
};

/**
 * The sums of codes by the weights of two spatial axes, or of the only one.
 *
 * @param along The weights of an axis of the codes, of a given size.
 */
export function weighted(
  context: RuleContext,
  given: Codes,
  along: (axis: number, size: number) => WholeWeights,
): Symbolic {
  const { assembly, node } = context;
  const spatial = given.shape.length - 2;
  if (spatial !== 1 && spatial !== 2) throw unsupported(node, onlyTwoAxes(spatial));
  const isLine = spatial === 1;
  const codes = isLine ? (assembly.readyCodes(overTwoAxes(context, given)) ?? given) : given;
  const { form } = assembly.tensor(codes.tensor);
  const own = given.shape.flatMap((size, axis) => (axis < 2 ? [] : [along(axis, size)]));
  const [rows, columns] = isLine ? [unchanged(1), own[0]] : own;
  if (rows === undefined || columns === undefined) throw unsupported(node, onlyTwoAxes(spatial));
  const axes = [rows.weights, columns.weights] as const;
  const { low, high, magnitude } = weightedBounds(1, axes, form);
  const reach = magnitude[0] ?? 0;
  if (reach >= floatBound) {
    throw unsupported(
      node,
      `its sums could reach ${reach}, beyond 2^24, the largest exact integer of float32`,
      "Give its input fewer bits, or resize by a factor of two at a time.",
    );
  }
  const { name } = node;
  const shape = isLine ? withTwoAxes(nodeShape(node)) : nodeShape(node);
  const sums = { kind: "accumulator", low: low[0] ?? 0, high: high[0] ?? 0, scale: 1, zeroPoint: 0 } as const;
  const tensor = assembly.add(name, shape, sums, (output) => ({
    op: "ResampleSums",
    name,
    input: codes.tensor,
    output,
    axes,
  }));
  // The weights of a place add up to one.
  const sum = uniformSum(
    { name, shape },
    { tensor, inputScale: form.scale },
    { gain: 1 / (rows.parts * columns.parts), offset: form.offset ?? 0 },
  );
  return isLine ? overOneAxis(context, sum) : sum;
}

/** Whole weights, and how many parts make one. */
export interface WholeWeights {
  readonly weights: AxisWeights;
  readonly parts: number;
}

function unchanged(size: number): WholeWeights {
  const places = Int32Array.from({ length: size }, (_, i) => i);
  return { weights: { taps: 1, places, weights: new Int32Array(size).fill(1) }, parts: 1 };
}

/** @throws UnsupportedError where the weights have no common denominator. */
function wholeWeights({ node }: RuleContext, { from, to, weights, axis }: AxisInterpolation): WholeWeights {
  const isWhole = (parts: number): boolean =>
    weights.every((weight) => Math.abs(weight * parts - Math.round(weight * parts)) < tolerance);
  let parts = 1;
  while (parts < mostParts && !isWhole(parts)) parts++;
  if (!isWhole(parts)) {
    throw unsupported(
      node,
      `the weights along axis ${axis}, from ${from} to ${to}, are no multiples of 1/n with n up to ${mostParts}`,
      "Resize by a whole factor.",
    );
  }
  const rows = Array.from({ length: to }, (_, row) =>
    Array.from(weights.subarray(row * from, (row + 1) * from), (weight, place) => ({
      place,
      weight: Math.round(weight * parts),
    })).filter(({ weight }) => weight !== 0),
  );
  const taps = rows.reduce((most, row) => Math.max(most, row.length), 1);
  const filled = rows.flatMap((row) =>
    Array.from({ length: taps }, (_, i) => row[i] ?? { place: row[0]?.place ?? 0, weight: 0 }),
  );
  return {
    weights: {
      taps,
      places: Int32Array.from(filled, ({ place }) => place),
      weights: Int32Array.from(filled, ({ weight }) => weight),
    },
    parts,
  };
}

/**
 * An average that does not count its padding: a window at the border divides by fewer elements. With L the least common multiple of the numbers
 * along an axis, a window of n elements gives each the weight L/n.
 */
export function averageWithinBorder(context: RuleContext, codes: Codes, window: WindowGeometry): Symbolic {
  const { kernel, strides, dilations, pads } = window;
  const sizes = nodeShape(context.node);
  return weighted(context, codes, (axis, size) => {
    const at = axis - 2;
    const [taps, stride, dilation, before] = [kernel[at] ?? 1, strides[at] ?? 1, dilations[at] ?? 1, pads[at] ?? 0];
    const rows = Array.from({ length: sizes[axis] ?? 1 }, (_, row) =>
      Array.from({ length: taps }, (_, tap) => row * stride - before + tap * dilation),
    );
    const counts = rows.map((places) => places.filter((place) => place >= 0 && place < size).length);
    const parts = counts.reduce(leastCommonMultiple, 1);
    const isInside = (place: number): boolean => place >= 0 && place < size;
    return {
      parts,
      weights: {
        taps,
        places: Int32Array.from(rows.flat(), (place) => Math.min(Math.max(place, 0), size - 1)),
        weights: Int32Array.from(
          rows.flatMap((places, row) => places.map((place) => (isInside(place) ? parts / (counts[row] ?? 1) : 0))),
        ),
      },
    };
  });
}

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return b === 0 ? a : (a * b) / divisor(a, b);
}
