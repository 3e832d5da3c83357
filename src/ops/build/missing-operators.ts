/**
 * Operators that a device may lack, built of others that it has. Where the engine leaves an operator of a step to the
 * CPU, its tensors cross to the host and back; these forms keep them where they are.
 */
import { intAttribute, intsAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, type Node, onnxDomain, subbyteDomain, type Value } from "../../ir/graph.ts";
import { filled, float32Data, makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import {
  type LoweringContext,
  type MissingOperator,
  type OperatorDefinition,
  operatorKey,
  type PartialLowering,
  type Target,
} from "../definition.ts";
import { cast } from "../families/cast.ts";
import { equal, less, where } from "../families/comparison.ts";
import { absolute, add, exponential, logarithm, minimum, multiply, subtract } from "../families/elementwise.ts";
import { reduceMax, reduceSum } from "../families/reduce.ts";
import { pad, reshape, unsqueeze } from "../families/shape/shape-ops.ts";
import { convGeometry } from "./conv-geometry.ts";
import { countFromFront, product } from "./operands.ts";

/** Whether the target's device lacks an operator. */
export function lacks(target: Target, operator: MissingOperator): boolean {
  return target.lacks?.includes(operator) === true;
}

/** From here on every float32 is whole, and below it adding this leaves no bits for a fraction. */
const wholeFrom = 2 ** 23;

/** Round half to even, by the engine's own rounding of a sum: right for every float32. */
const lowerRound: PartialLowering = ({ builder: b, input }) => {
  const x = input(0);
  if (x.type.dtype !== "float32") return undefined;
  const shift = where(b, less(b, x, 0), -wholeFrom, wholeFrom);
  const rounded = subtract(b, add(b, x, shift), shift);
  return [where(b, less(b, absolute(b, x), wholeFrom), rounded, x)];
};

/** x − max − log Σ e^(x − max), along the axis. */
const lowerLogSoftmax: PartialLowering = ({ builder: b, node, input }) => {
  const axes = [intAttribute(node, "axis", -1)];
  const shifted = subtract(b, input(0), reduceMax(b, input(0), axes));
  return [subtract(b, shifted, logarithm(b, reduceSum(b, exponential(b, shifted), axes)))];
};

/** 1 where the index, or the index counted from the end, is the place's own number: for vectors of 0 and 1. */
const lowerOneHot: PartialLowering = (context) => {
  const { builder: b, node, input } = context;
  const [depth, values] = [constant(context, 1), constant(context, 2)];
  if (depth === undefined || values === undefined) return undefined;
  const [off, on] = toNumbers(values);
  if (off !== 0 || on !== 1) return undefined;
  const classes = toNumbers(depth)[0] ?? 0;
  const rank = input(0).type.shape.length + 1;
  const axis = countFromFront(intAttribute(node, "axis", -1), rank);
  const index = unsqueeze(b, cast(b, input(0), "int32"), [axis]);
  const places = Array.from({ length: rank }, (_, i) => (i === axis ? classes : 1));
  const numbersFrom = (first: number): Value =>
    b.constant(
      makeTensor(
        "int32",
        places,
        Int32Array.from({ length: classes }, (_, i) => first + i),
      ),
    );
  const hits = [0, -classes].map((first) => cast(b, equal(b, index, numbersFrom(first)), values.dtype));
  return [hits.reduce((sum, hit) => add(b, sum, hit))];
};

/**
 * The gradient of MaxPool without the places of its maxima: all windows are laid out by a convolution with one kernel for
 * each place of a window, the first place that equals the maximum takes dY, and the transposed convolution adds the
 * windows up again. Every product is by 0 or 1, so the result is exact.
 */
const lowerMaxPoolGrad: PartialLowering = ({ builder: b, node, input }) => {
  const [dy, x] = [input(0), input(1)];
  const [batch = 0, channels = 0, ...spatial] = x.type.shape;
  const outSizes = dy.type.shape.slice(2);
  const { kernel, kernels, attributes, pads, outputPadding } = windowGeometry(b, node, spatial, outSizes);
  const places = product(kernel);

  const images = reshape(b, x, [batch * channels, 1, ...spatial]);
  const isPadded = pads.some((size) => size > 0);
  const rank = spatial.length;
  // The lowest number, and not −∞: zero times that is not a number.
  const padded = isPadded
    ? pad(b, images, [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)], { value: lowestFloat })
    : images;
  const windows = b.one("Conv", [padded, kernels], attributes);
  const maxima = reshape(b, b.one("MaxPool", [x], node.attributes), [batch * channels, 1, ...outSizes]);
  const isMaximum = cast(b, equal(b, windows, maxima), "float32");
  const earlier = b.one("Conv", [isMaximum, b.constant(earlierPlaces(places, rank))]);
  const isFirst = multiply(b, isMaximum, subtract(b, 1, minimum(b, earlier, 1)));
  const share = multiply(b, isFirst, reshape(b, dy, [batch * channels, 1, ...outSizes]));
  const dx = b.one("ConvTranspose", [share, kernels], { ...attributes, pads, output_padding: outputPadding });
  return [reshape(b, dx, x.type.shape)];
};

const lowestFloat = -3.4028234663852886e38;

function windowGeometry(b: GraphBuilder, node: Node, spatial: readonly number[], outSizes: readonly number[]) {
  const kernel = intsAttribute(node, "kernel_shape");
  const { strides, dilations, pads: given } = convGeometry(node, [1, 1, ...spatial], kernel);
  const reach = kernel.map(
    (size, axis) =>
      ((outSizes[axis] ?? 1) - 1) * (strides[axis] ?? 1) + (size - 1) * (dilations[axis] ?? 1) + 1 - (given[axis] ?? 0),
  );
  // As much padding behind as the last window reaches over: with ceil_mode that is more than was given.
  const behind = reach.map((end, axis) => Math.max(0, end - (spatial[axis] ?? 0)));
  const outputPadding = reach.map((end, axis) => Math.max(0, (spatial[axis] ?? 0) - end));
  const pads = [...given.slice(0, kernel.length), ...behind];
  const attributes = { kernel_shape: kernel, strides, dilations };
  return { kernel, kernels: b.constant(onePlaceKernels(kernel)), attributes, pads, outputPadding };
}

/** [places, 1, ...kernel]: kernel i is 1 at place i of the window. */
function onePlaceKernels(kernel: readonly number[]): Tensor {
  const places = product(kernel);
  const tensor = filled([places, 1, ...kernel], 0);
  for (let place = 0; place < places; place++) float32Data(tensor)[place * places + place] = 1;
  return tensor;
}

/** [places, places, 1…]: sums over the places before each one. */
function earlierPlaces(places: number, rank: number): Tensor {
  const tensor = filled([places, places, ...Array.from({ length: rank }, () => 1)], 0);
  for (let place = 0; place < places; place++) {
    for (let earlier = 0; earlier < place; earlier++) float32Data(tensor)[place * places + earlier] = 1;
  }
  return tensor;
}

function constant({ builder, inputs }: LoweringContext, index: number): Tensor | undefined {
  const value = inputs[index];
  return value === undefined ? undefined : builder.constantOf(value);
}

/** By operator: what the target must lack, and what is built then. */
const forms: ReadonlyMap<string, { readonly without: MissingOperator; readonly lower: PartialLowering }> = new Map([
  [operatorKey(onnxDomain, "Round"), { without: "Round", lower: lowerRound }],
  [operatorKey(onnxDomain, "OneHot"), { without: "OneHot", lower: lowerOneHot }],
  [operatorKey(onnxDomain, "LogSoftmax"), { without: "LogSoftmax", lower: lowerLogSoftmax }],
  [operatorKey(subbyteDomain, "MaxPoolGrad"), { without: "MaxPoolIndices", lower: lowerMaxPoolGrad }],
]);

/** The definition, with the form above for targets that lack the operator. */
export function withMissingForm(definition: OperatorDefinition): OperatorDefinition {
  const form = forms.get(operatorKey(definition.domain, definition.op));
  if (form === undefined) return definition;
  return {
    ...definition,
    lower: (context) =>
      (lacks(context.target, form.without) ? form.lower(context) : undefined) ?? definition.lower?.(context),
  };
}
