/**
 * Resize: nearest, linear and cubic interpolation.
 *
 * Interpolation is linear in x and separable: along each axis y = A·x with a constant matrix A of the weights that each
 * output gives to the inputs. So the gradient along the axis is Aᵀ·dy, a matrix product with a constant, exact for every
 * mode whose weights are computed here.
 */

import { UnsupportedError } from "../../errors.ts";
import {
  type AttributeSource,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from "../../ir/attributes.ts";
import { type GraphBuilder, type Node, type OperatorCall, showNode, type Value } from "../../ir/graph.ts";
import { float32Tensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import type { Shape, TensorType } from "../../ir/types.ts";
import { type Fold, ravel, rearranged, unravel } from "../build/fold/data.ts";
import { axesOf, indices } from "../build/operands.ts";
import { type GradientContext, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { resizeUpgrades } from "../rewrite/upgrades.ts";
import { matmul } from "./matmul.ts";
import { transpose } from "./shape/shape-ops.ts";

/** The resizing of one axis. */
interface AxisPlan {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
}

/** The axes that a call resizes. `constant` gives the tensor of an input. */
function planOf(
  source: AttributeSource,
  shape: Shape,
  constant: (index: number) => Tensor | undefined,
  fail: (message: string) => Error,
): AxisPlan[] {
  const rank = shape.length;
  const given = intsAttribute(source, "axes", indices(rank));
  const axes = given.map((axis) => (axis < 0 ? axis + rank : axis));
  const lengths = (index: number) => {
    const tensor = constant(index);
    return tensor === undefined || tensor.data.length === 0 ? undefined : toNumbers(tensor);
  };
  const [scales, sizes] = [lengths(2), lengths(3)];
  const given2 = scales ?? sizes;
  if (given2 === undefined || given2.length !== axes.length) {
    throw fail("scales or sizes should hold a number for each axis");
  }
  const common =
    scales === undefined
      ? commonScale(
          source,
          given2.map((size, i) => size / (shape[axes[i] ?? 0] ?? 1)),
        )
      : undefined;
  return axes.map((axis, i) => {
    const from = shape[axis] ?? 1;
    if (common !== undefined) return { axis, from, to: Math.floor(from * common + 0.5), scale: common };
    const to = scales === undefined ? (sizes?.[i] ?? 1) : Math.floor(from * Math.fround(scales[i] ?? 1));
    return { axis, from, to, scale: scales?.[i] ?? to / from };
  });
}

/** The scale of all axes where the ratio of the sides is kept; undefined where each axis has its own. */
function commonScale(source: AttributeSource, scales: readonly number[]): number | undefined {
  switch (stringAttribute(source, "keep_aspect_ratio_policy", "stretch")) {
    case "not_larger":
      return Math.fround(Math.min(...scales));
    case "not_smaller":
      return Math.fround(Math.max(...scales));
    default:
      return undefined;
  }
}

function resizeType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  axesOf(call, intsAttribute(call, "axes", indices(shape.length)), shape.length);
  if (stringAttribute(call, "coordinate_transformation_mode", "half_pixel") === "tf_crop_and_resize") {
    throw typeError(call, "cropping with a Resize is not supported");
  }
  for (const index of [2, 3]) {
    const type = call.inputs[index];
    if (type !== undefined && type.shape[0] !== 0 && call.constants[index] === undefined) {
      throw typeError(call, `input ${index} must be a constant`);
    }
  }
  const plan = planOf(
    call,
    shape,
    (index) => call.constants[index],
    (message) => typeError(call, message),
  );
  const result = [...shape];
  for (const { axis, to } of plan) {
    if (!(Number.isSafeInteger(to) && to > 0)) throw typeError(call, `axis ${axis} would have the size ${to}`);
    result[axis] = to;
  }
  return [{ dtype, shape: result }];
}

/** The place in the input, in its elements, of an output element. */
function sourcePlace(mode: string, { from, to, scale }: AxisPlan, place: number): number {
  switch (mode) {
    case "half_pixel":
      return (place + 0.5) / scale - 0.5;
    case "pytorch_half_pixel":
      return to > 1 ? (place + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      return to > 1 ? (place * (from - 1)) / (to - 1) : 0;
    case "asymmetric":
      return place / scale;
    case "half_pixel_symmetric": {
      const adjustment = to / (from * scale);
      const centre = from / 2;
      return centre * (1 - adjustment) + (place + 0.5) / scale - 0.5;
    }
    default:
      return Number.NaN;
  }
}

function nearestPlace(mode: string, place: number): number {
  switch (mode) {
    case "floor":
      return Math.floor(place);
    case "ceil":
      return Math.ceil(place);
    case "round_prefer_ceil":
      return Math.floor(place + 0.5);
    default:
      return Math.ceil(place - 0.5);
  }
}

/** Keys' cubic kernel at the four neighbours. */
function cubicWeights(fraction: number, a: number): number[] {
  const near = (t: number) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const far = (t: number) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return [far(1 + fraction), near(fraction), near(1 - fraction), far(2 - fraction)];
}

/** A of one axis, [to, from], added to what `weights` holds: zeros. */
function fillWeights<Numbers extends Float32Array | Float64Array>(
  source: AttributeSource,
  plan: AxisPlan,
  weights: Numbers,
): Numbers {
  const { from, to } = plan;
  const mode = stringAttribute(source, "mode", "nearest");
  const transformation = stringAttribute(source, "coordinate_transformation_mode", "half_pixel");
  const nearest = stringAttribute(source, "nearest_mode", "round_prefer_floor");
  const cubic = floatAttribute(source, "cubic_coeff_a", -0.75);
  const give = (row: number, place: number, weight: number) => {
    const index = row * from + Math.min(Math.max(place, 0), from - 1);
    weights[index] = (weights[index] ?? 0) + weight;
  };
  for (let row = 0; row < to; row++) {
    const place = sourcePlace(transformation, plan, row);
    const base = Math.floor(place);
    if (mode === "nearest") give(row, nearestPlace(nearest, place), 1);
    else if (mode === "linear") {
      give(row, base, 1 - (place - base));
      give(row, base + 1, place - base);
    } else {
      for (const [i, weight] of cubicWeights(place - base, cubic).entries()) give(row, base - 1 + i, weight);
    }
  }
  return weights;
}

function weightMatrix(source: AttributeSource, plan: AxisPlan): Tensor {
  const { from, to } = plan;
  return float32Tensor([to, from], fillWeights(source, plan, new Float32Array(to * from)));
}

/** The weights that each output of an axis gives to the inputs, [to, from]. */
export interface AxisInterpolation {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly weights: Float64Array;
}

/**
 * Returns the weights of a Resize along each axis that it changes, in float64; undefined where it smooths or leaves out what is outside.
 *
 * @param constant The tensor of an input.
 */
export function interpolationOf(
  node: Node,
  constant: (index: number) => Tensor | undefined,
): AxisInterpolation[] | undefined {
  if (intAttribute(node, "antialias", 0) === 1 || intAttribute(node, "exclude_outside", 0) === 1) return undefined;
  const shape = node.inputs[0]?.type.shape ?? [];
  const plans = planOf(node, shape, constant, (message) => new UnsupportedError(message, { where: showNode(node) }));
  return plans.flatMap(({ axis, from, to, scale }) => {
    // A scale is a float32: where it is the ratio of the sizes, that is exact.
    const exact = Math.fround(to / from) === Math.fround(scale) ? to / from : scale;
    if (from === to && exact === 1) return [];
    const weights = fillWeights(node, { axis, from, to, scale: exact }, new Float64Array(to * from));
    return [{ axis, from, to, weights }];
  });
}

/** Values along one axis multiplied by a constant matrix: the axis goes last, and back. */
function alongAxis(b: GraphBuilder, x: Value, axis: number, matrix: Tensor): Value {
  const rank = x.type.shape.length;
  const swap = indices(rank);
  swap[axis] = rank - 1;
  swap[rank - 1] = axis;
  return transpose(b, matmul(b, transpose(b, x, swap), b.constant(matrix, "weights")), swap);
}

function resizeGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  if (!needed[0]) return [];
  const refuse = (message: string) =>
    new UnsupportedError(`there is no gradient of this Resize: ${message}`, {
      where: showNode(node),
      remedy: "Use nearest, linear or cubic without antialiasing, or keep what is before this node frozen.",
    });
  if (intAttribute(node, "antialias", 0) === 1) throw refuse("it smooths (antialias)");
  if (intAttribute(node, "exclude_outside", 0) === 1) throw refuse("it leaves out what is outside");
  const constant = (index: number) => {
    const value = node.inputs[index];
    return value === undefined ? undefined : b.constantOf(value);
  };
  const plan = planOf(node, input(0).type.shape, constant, refuse);
  let gradient = outputGradient(0);
  for (const each of plan) {
    if (each.from === each.to && each.scale === 1) continue;
    gradient = alongAxis(b, gradient, each.axis, weightMatrix(node, each));
  }
  return [gradient];
}

/** Nearest elements alone: they are copies, so that their values are exact. */
const nearestElements: Fold = (call) => {
  const [input] = call.inputs;
  const [type] = call.types;
  if (input === undefined || type === undefined || stringAttribute(call, "mode", "nearest") !== "nearest")
    return undefined;
  const { shape } = input;
  const plans = planOf(
    call,
    shape,
    (index) => call.inputs[index],
    (message) => new UnsupportedError(message, { where: call.name }),
  );
  const transformation = stringAttribute(call, "coordinate_transformation_mode", "half_pixel");
  const nearest = stringAttribute(call, "nearest_mode", "round_prefer_floor");
  const places = type.shape.map((size, axis) => {
    const plan = plans.find((each) => each.axis === axis);
    const last = (shape[axis] ?? 1) - 1;
    return Array.from({ length: size }, (_, row) =>
      plan === undefined
        ? row
        : Math.min(Math.max(nearestPlace(nearest, sourcePlace(transformation, plan, row)), 0), last),
    );
  });
  return [
    rearranged(input, type.shape, (i) =>
      ravel(
        unravel(i, type.shape).map((place, axis) => places[axis]?.[place] ?? 0),
        shape,
      ),
    ),
  ];
};

const isNearest = (node: Node): boolean => stringAttribute(node, "mode", "nearest") === "nearest";

/** Elements at other places, or interpolated between. */
export const resizeOperator: OperatorDefinition = {
  op: "Resize",
  domain: "",
  upgrades: resizeUpgrades,
  infer: resizeType,
  gradient: resizeGradient,
  fold: { compute: nearestElements, repeats: true },
  traits: {
    movement: isNearest,
    interpolates: (node) => !isNearest(node),
    // The weights of cubic interpolation alone have both signs.
    nonNegative: ({ node, isNonNegative }) => stringAttribute(node, "mode", "nearest") !== "cubic" && isNonNegative(0),
  },
};

/** The operators of this file. */
export const resizeOperators: readonly OperatorDefinition[] = [resizeOperator];
