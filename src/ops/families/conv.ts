/**
 * Convolution and transposed convolution: type rules, gradients, and their standard-opset lowerings.
 *
 * The gradients stay high-level (`ConvGradInput`, `ConvGradWeight`) until lowering, because the best form of each
 * depends on the machine; ops/cpu/conv/ holds the forms for a CPU.
 */
import { UnsupportedError } from "../../errors.ts";
import { intAttribute, intsAttribute, stringAttribute } from "../../ir/attributes.ts";
import {
  type Attributes,
  type GraphBuilder,
  type OperatorCall,
  onnxDomain,
  showNode,
  subbyteDomain,
  type Value,
} from "../../ir/graph.ts";
import { elementCount, type Shape, type TensorType } from "../../ir/types.ts";
import { convGeometry, convOutputSizes, geometryAttributes } from "../build/conv-geometry.ts";
import { elementsOfInput, elementsOfOutput, shapeOfInput } from "../build/node-shapes.ts";
import { at } from "../build/operands.ts";
import { lowerDepthwiseConv, lowerDepthwiseGradWeight } from "../cpu/conv/depthwise.ts";
import { lowerBlockedConv } from "../cpu/conv/forward.ts";
import { lowerBlockedGradInput } from "../cpu/conv/input-gradient.ts";
import { lowerBlockedGradWeight } from "../cpu/conv/weight-gradient.ts";
import {
  type GradientRule,
  type Lowering,
  type LoweringContext,
  type OperatorDefinition,
  requiredInput,
  typeError,
} from "../definition.ts";
import { bias, data, weight } from "../inputs.ts";
import { convTransposeUpgrades, convUpgrades } from "../rewrite/windows.ts";
import { reduceSum } from "./reduce.ts";
import { reshape, slice, transpose } from "./shape/shape-ops.ts";

/** Geometry of a convolution. */
export interface ConvOptions {
  readonly strides?: readonly number[];
  readonly dilations?: readonly number[];
  readonly pads?: readonly number[];
  readonly group?: number;
}

/** Convolution: x[N,C,...], weight[K,C/group,...], bias[K] → [N,K,...]. */
export function conv(
  builder: GraphBuilder,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  options: ConvOptions = {},
  name?: string,
): Value {
  const kernel = weight.type.shape.slice(2);
  const attributes: Attributes = {
    kernel_shape: kernel,
    strides: options.strides ?? kernel.map(() => 1),
    dilations: options.dilations ?? kernel.map(() => 1),
    pads: options.pads ?? [...kernel, ...kernel].map(() => 0),
    group: options.group ?? 1,
  };
  const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
  return builder.one("Conv", inputs, attributes, name === undefined ? {} : { name });
}

function inferConv(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const weight = requiredInput(call, 1);
  const bias = call.inputs[2];
  if (x.shape.length < 3 || weight.shape.length !== x.shape.length) {
    throw typeError(call, "x and weight must have the same rank of at least 3");
  }
  const [batch = 0, channels = 0, ...spatial] = x.shape;
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.shape;
  const geometry = convGeometry(call, x.shape, kernel);
  if (channels !== inChannels * geometry.group || outChannels % geometry.group !== 0) {
    throw typeError(
      call,
      `${channels} channels in ${geometry.group} groups do not fit a weight for ${inChannels} channels a group`,
    );
  }
  if (bias !== undefined && (bias.shape.length !== 1 || bias.shape[0] !== outChannels)) {
    throw typeError(call, `the bias must have ${outChannels} elements`);
  }
  const sizes = convOutputSizes(spatial, kernel, geometry);
  if (sizes.some((size) => size < 1)) throw typeError(call, "the kernel is larger than the padded input");
  return [{ dtype: x.dtype, shape: [batch, outChannels, ...sizes] }];
}

const convGradient: GradientRule = (context) => {
  const { builder, node, needed } = context;
  const dy = context.outputGradient(0);
  const x = context.input(0);
  const weight = context.input(1);
  const geometry = convGeometry(node, x.type.shape, weight.type.shape.slice(2));
  const attributes = geometryAttributes(geometry);
  const dx = needed[0]
    ? builder.one("ConvGradInput", [dy, weight], { ...attributes, shape: x.type.shape }, { domain: subbyteDomain })
    : undefined;
  const dw = needed[1]
    ? builder.one("ConvGradWeight", [dy, x], { ...attributes, shape: weight.type.shape }, { domain: subbyteDomain })
    : undefined;
  const db = needed[2] ? reduceSum(builder, dy, allButChannel(dy), { keepDimensions: false }) : undefined;
  return [dx, dw, db];
};

function allButChannel(value: Value): number[] {
  return value.type.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
}

/** The attribute `shape` of a gradient node as its output type. */
function inferFromShape(call: OperatorCall): TensorType[] {
  return [{ dtype: requiredInput(call, 0).dtype, shape: intsAttribute(call, "shape") }];
}

/** dX as a transposed convolution of dY with the same weight. */
export function genericGradInput(context: LoweringContext): Value {
  const { builder, node } = context;
  const dy = context.input(0);
  const weight = context.input(1);
  const shape = intsAttribute(node, "shape");
  const kernel = weight.type.shape.slice(2);
  const geometry = convGeometry(node, shape, kernel);
  const rank = kernel.length;
  const outputPadding = kernel.map((size, axis) => {
    const reached =
      ((dy.type.shape[axis + 2] ?? 0) - 1) * (geometry.strides[axis] ?? 1) +
      (size - 1) * (geometry.dilations[axis] ?? 1) +
      1 -
      (geometry.pads[axis] ?? 0) -
      (geometry.pads[axis + rank] ?? 0);
    return (shape[axis + 2] ?? 0) - reached;
  });
  return builder.one("ConvTranspose", [dy, weight], {
    ...geometryAttributes(geometry),
    kernel_shape: kernel,
    output_padding: outputPadding,
  });
}

/**
 * dW as a convolution whose channels are the batch: x as [C/g, g·N, ...], dY as kernels [K, N, ...]; strides and
 * dilations change places. Where the stride leaves a remainder the result has rows too many, which are cut off.
 */
export function genericGradWeight(context: LoweringContext): Value {
  const { builder, node } = context;
  const dy = context.input(0);
  const x = context.input(1);
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, inChannels = 0, ...kernel] = shape;
  const [batch = 0, , ...spatial] = x.type.shape;
  const geometry = convGeometry(node, x.type.shape, kernel);
  const { group } = geometry;
  const spatialAxes = spatial.map((_, axis) => axis);
  const image =
    group === 1
      ? transpose(builder, x, [1, 0, ...spatialAxes.map((axis) => axis + 2)])
      : reshape(
          builder,
          transpose(builder, reshape(builder, x, [batch, group, inChannels, ...spatial]), [
            2,
            1,
            0,
            ...spatialAxes.map((axis) => axis + 3),
          ]),
          [inChannels, group * batch, ...spatial],
        );
  const kernels = transpose(builder, dy, [1, 0, ...spatialAxes.map((axis) => axis + 2)]);
  const wide = conv(builder, image, kernels, undefined, {
    strides: geometry.dilations,
    dilations: geometry.strides,
    pads: geometry.pads,
    group,
  });
  const exact = wide.type.shape.slice(2).every((size, axis) => size === kernel[axis]);
  const cut = exact
    ? wide
    : slice(builder, wide, {
        axes: spatialAxes.map((axis) => axis + 2),
        starts: kernel.map(() => 0),
        ends: kernel,
      });
  return reshape(builder, transpose(builder, cut, [1, 0, ...spatialAxes.map((axis) => axis + 2)]), [
    outChannels,
    inChannels,
    ...kernel,
  ]);
}

const lowerConv: Lowering = (context) => [
  lowerBlockedConv(context) ??
    lowerDepthwiseConv(context) ??
    context.builder.one("Conv", context.inputs, context.node.attributes, { name: "conv" }),
];
const lowerGradInput: Lowering = (context) => [lowerBlockedGradInput(context) ?? genericGradInput(context)];
const lowerGradWeight: Lowering = (context) => [
  lowerBlockedGradWeight(context) ?? lowerDepthwiseGradWeight(context) ?? genericGradWeight(context),
];

/** Multiply-accumulates for each element of a convolution's output: what one filter reads. */
function filterSize(weight: Shape): number {
  return elementCount(weight.slice(1));
}

/** A convolution over any number of spatial axes. */
export const convOperator: OperatorDefinition = {
  op: "Conv",
  domain: onnxDomain,
  upgrades: convUpgrades,
  inputs: [data("x"), weight("w"), bias("b")],
  infer: inferConv,
  gradient: convGradient,
  arrange: lowerConv,
  macs: (node) => elementsOfOutput(node) * filterSize(shapeOfInput(node, 1)),
  blocked: "own",
  traits: {
    layer: {
      data: 0,
      weight: 1,
      outputAxis: () => 0,
      outputChannels: (node) => at(shapeOfInput(node, 1), 0),
      summedAxes: () => ({ data: 1, weight: 1 }),
    },
    module: true,
    comparable: true,
  },
};

/** A transposed convolution. */
export const convTransposeOperator: OperatorDefinition = {
  op: "ConvTranspose",
  domain: onnxDomain,
  upgrades: convTransposeUpgrades,
  inputs: [data("x"), weight("w"), bias("b")],
  infer: inferConvTranspose,
  gradient: convTransposeGradient,
  // Every element of the input meets every tap of its group's filters.
  macs: (node) => elementsOfInput(node, 0) * filterSize(shapeOfInput(node, 1)),
  traits: {
    layer: {
      data: 0,
      weight: 1,
      outputAxis: () => 1,
      outputChannels: (node) => at(shapeOfInput(node, 1), 1) * intAttribute(node, "group", 1),
      summedAxes: () => ({ data: 1, weight: 0 }),
    },
    module: true,
  },
};

/** The gradient of a convolution's input. */
export const convGradInputOperator: OperatorDefinition = {
  op: "ConvGradInput",
  domain: subbyteDomain,
  infer: inferFromShape,
  arrange: lowerGradInput,
  macs: (node) => elementsOfInput(node, 0) * filterSize(shapeOfInput(node, 1)),
  traits: { work: "gradient of inputs" },
};

/** The gradient of a convolution's weight. */
export const convGradWeightOperator: OperatorDefinition = {
  op: "ConvGradWeight",
  domain: subbyteDomain,
  infer: inferFromShape,
  arrange: lowerGradWeight,
  macs: (node) => elementsOfInput(node, 0) * filterSize(intsAttribute(node, "shape")),
  traits: { work: "gradient of weights" },
};

/** The operators of this file. */
export const convolutionOperators: readonly OperatorDefinition[] = [
  convOperator,
  convGradInputOperator,
  convGradWeightOperator,
  convTransposeOperator,
];

function inferConvTranspose(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const weight = requiredInput(call, 1);
  const [batch = 0, channels = 0, ...spatial] = x.shape;
  const [inChannels = 0, outPerGroup = 0, ...kernel] = weight.shape;
  if (channels !== inChannels) throw typeError(call, "x and weight disagree on the number of channels");
  const geometry = convGeometry(call, x.shape, kernel);
  const fixed = call.attributes.output_shape === undefined ? undefined : intsAttribute(call, "output_shape");
  const none = kernel.map(() => 0);
  const padding = intsAttribute(call, "output_padding", none);
  const mode = stringAttribute(call, "auto_pad", "NOTSET");
  const sizes = spatial.map((size, axis) => {
    const stride = geometry.strides[axis] ?? 1;
    const extent = ((kernel[axis] ?? 1) - 1) * (geometry.dilations[axis] ?? 1) + 1;
    if (fixed !== undefined) return fixed[fixed.length - spatial.length + axis] ?? 0;
    if (mode.startsWith("SAME")) return size * stride;
    const pads = (geometry.pads[axis] ?? 0) + (geometry.pads[axis + spatial.length] ?? 0);
    return (size - 1) * stride + extent + (padding[axis] ?? 0) - (mode === "VALID" ? 0 : pads);
  });
  if (sizes.some((size) => size < 1)) throw typeError(call, "the padding is larger than the output");
  return [{ dtype: x.dtype, shape: [batch, outPerGroup * geometry.group, ...sizes] }];
}

/**
 * A transposed convolution is the dX of a convolution that leads from its output to its input: so its own dX is that
 * convolution, and its dW that convolution's dW. Pads at the end are read off the shapes, which covers output_padding
 * and output_shape; elements that lie beyond the kernel's reach get no gradient and are cut off.
 */
function convTransposeGradient(context: Parameters<GradientRule>[0]): readonly (Value | undefined)[] {
  const { builder, node, needed } = context;
  const dy = context.outputGradient(0);
  const x = context.input(0);
  const weight = context.input(1);
  const kernel = weight.type.shape.slice(2);
  if (stringAttribute(node, "auto_pad", "NOTSET") !== "NOTSET" || node.attributes.output_shape !== undefined) {
    throw new UnsupportedError("ConvTranspose with auto_pad or output_shape has no gradient here", {
      where: showNode(node),
      remedy: "Export the model with explicit pads and output_padding.",
    });
  }
  const geometry = convGeometry(node, x.type.shape, kernel);
  const begin = kernel.map((_, axis) => geometry.pads[axis] ?? 0);
  const end = kernel.map((size, axis) => {
    const extent = (size - 1) * (geometry.dilations[axis] ?? 1) + 1;
    const reach = ((x.type.shape[axis + 2] ?? 0) - 1) * (geometry.strides[axis] ?? 1) + extent;
    return reach - (dy.type.shape[axis + 2] ?? 0) - (begin[axis] ?? 0);
  });
  const reached = end.every((size) => size >= 0)
    ? dy
    : slice(builder, dy, {
        axes: kernel.map((_, axis) => axis + 2),
        starts: kernel.map(() => 0),
        ends: kernel.map((_, axis) => (dy.type.shape[axis + 2] ?? 0) + Math.min(0, end[axis] ?? 0)),
      });
  const mirrored = { ...geometry, pads: [...begin, ...end.map((size) => Math.max(0, size))] };
  const attributes = { ...geometryAttributes(mirrored), shape: weight.type.shape };
  return [
    needed[0] ? conv(builder, reached, weight, undefined, mirrored) : undefined,
    needed[1] ? builder.one("ConvGradWeight", [x, reached], attributes, { domain: subbyteDomain }) : undefined,
    needed[2] ? reduceSum(builder, dy, allButChannel(dy), { keepDimensions: false }) : undefined,
  ];
}
