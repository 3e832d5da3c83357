/**
 * Convolutions for a CPU: ONNX Runtime's blocked convolution (domain `com.microsoft.nchwc`), which reads and writes
 * tensors whose channels are split into blocks of the vector width. Between convolutions tensors stay NCHW, where
 * elementwise work is cheaper; the builder shares a reorder that two convolutions need.
 *
 * Every function returns undefined where the blocked form does not apply (channels that are no multiple of the
 * block, groups, ranks other than four), and the caller falls back to the standard form.
 */
import { type GraphBuilder, intsAttribute, type OperatorCall, type Value } from "../graph/graph.ts";
import { type ConvGeometry, convGeometry, convOutputSizes, geometryAttributes } from "./conv-geometry.ts";
import { type LoweringContext, type OperatorDefinition, requiredInput } from "./operator.ts";
import { reshape, slice, transpose } from "./shape-ops.ts";

export const blockedDomain = "com.microsoft.nchwc";

/** The engine's own operators, as far as lowerings emit them. */
export const blockedOperators: readonly OperatorDefinition[] = [
  { op: "ReorderInput", domain: blockedDomain, infer: (call) => [requiredInput(call, 0)] },
  {
    op: "ReorderOutput",
    domain: blockedDomain,
    infer: (call) => {
      const { dtype, shape } = requiredInput(call, 0);
      const channels = call.attributes.channels;
      return [
        { dtype, shape: shape.map((size, axis) => (axis === 1 && typeof channels === "number" ? channels : size)) },
      ];
    },
  },
  { op: "Conv", domain: blockedDomain, infer: inferBlockedConv },
];

function inferBlockedConv(call: OperatorCall) {
  const x = requiredInput(call, 0);
  const [outChannels = 0, , ...kernel] = requiredInput(call, 1).shape;
  const [batch = 0, , ...spatial] = x.shape;
  return [
    {
      dtype: x.dtype,
      shape: [batch, outChannels, ...convOutputSizes(spatial, kernel, convGeometry(call, x.shape, kernel))],
    },
  ];
}

/** Whether the target has blocked convolutions and this many channels fill whole blocks. */
function fillsBlocks(context: LoweringContext, ...channels: readonly number[]): boolean {
  const block = context.target.blockSize;
  return block > 1 && channels.every((count) => count > 0 && count % block === 0);
}

function toBlocked(builder: GraphBuilder, x: Value): Value {
  return builder.one("ReorderInput", [x], {}, { domain: blockedDomain });
}

function fromBlocked(builder: GraphBuilder, x: Value, channels: number): Value {
  return builder.one("ReorderOutput", [x], { channels }, { domain: blockedDomain });
}

function blockedConv(
  builder: GraphBuilder,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  geometry: ConvGeometry,
): Value {
  const kernel = weight.type.shape.slice(2);
  return builder.one(
    "Conv",
    bias === undefined ? [x, weight] : [x, weight, bias],
    { kernel_shape: kernel, ...geometryAttributes(geometry) },
    { domain: blockedDomain },
  );
}

/** weight[K,C,h,w] in the order in which the engine reads it: [K/b, C/b, h, w, b of C, b of K]. */
function blockWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.type.shape;
  const split = reshape(builder, weight, [outChannels / block, block, inChannels / block, block, height, width]);
  return reshape(builder, transpose(builder, split, [0, 2, 4, 5, 3, 1]), weight.type.shape);
}

/** weight[K,C,h,w] for an input with fewer channels than a block, which stays NCHW: [K/b, C, h, w, b of K]. */
function blockFirstWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.type.shape;
  const split = reshape(builder, weight, [outChannels / block, block, inChannels, height, width]);
  return reshape(builder, transpose(builder, split, [0, 2, 3, 4, 1]), weight.type.shape);
}

/** Reverses both kernel axes by reversing their product. */
function flipKernel(builder: GraphBuilder, weight: Value): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.type.shape;
  if (height * width === 1) return weight;
  const flat = reshape(builder, weight, [outChannels, inChannels, height * width]);
  const reversed = slice(builder, flat, { axes: [2], starts: [-1], ends: [-(2 ** 31)], steps: [-1] });
  return reshape(builder, reversed, weight.type.shape);
}

/** Forward: x and y are NCHW outside, blocked inside. */
export function lowerBlockedConv(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const x = context.input(0);
  const weight = context.input(1);
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.type.shape;
  if (kernel.length !== 2) return undefined;
  const geometry = convGeometry(node, x.type.shape, kernel);
  if (geometry.group !== 1 || x.type.dtype !== "float32") return undefined;
  const bias = context.inputs[2];
  if (fillsBlocks(context, outChannels) && inChannels < target.blockSize) {
    const y = blockedConv(builder, x, blockFirstWeight(builder, weight, target.blockSize), bias, geometry);
    return fromBlocked(builder, y, outChannels);
  }
  if (!fillsBlocks(context, outChannels, inChannels)) return undefined;
  const blocked = blockWeight(builder, weight, target.blockSize);
  return fromBlocked(builder, blockedConv(builder, toBlocked(builder, x), blocked, bias, geometry), outChannels);
}

/** dX for stride 1: a convolution of dY with the weight transposed and flipped. */
export function lowerBlockedGradInput(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const dy = context.input(0);
  const weight = context.input(1);
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.type.shape;
  if (kernel.length !== 2 || !fillsBlocks(context, outChannels, inChannels)) return undefined;
  const geometry = convGeometry(node, shape, kernel);
  if (geometry.group !== 1 || geometry.strides.some((stride) => stride !== 1)) return undefined;
  const pads = [0, 1, 2, 3].map((side) => {
    const axis = side % 2;
    return (geometry.dilations[axis] ?? 1) * ((kernel[axis] ?? 1) - 1) - (geometry.pads[side] ?? 0);
  });
  if (pads.some((pad) => pad < 0)) return undefined;
  const mirrored = transpose(builder, flipKernel(builder, weight), [1, 0, 2, 3]);
  const blocked = blockWeight(builder, mirrored, target.blockSize);
  const dx = blockedConv(builder, toBlocked(builder, dy), blocked, undefined, { ...geometry, pads });
  return fromBlocked(builder, dx, inChannels);
}

/**
 * dW for stride 1: a convolution whose channels are the batch. x becomes [C, N, H, W], dY the kernel [K, N, H', W'],
 * and the result is [C, K, h, w].
 */
export function lowerBlockedGradWeight(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const dy = context.input(0);
  const x = context.input(1);
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, , ...kernel] = shape;
  const [batch = 0] = x.type.shape;
  if (kernel.length !== 2 || !fillsBlocks(context, outChannels, batch)) return undefined;
  const geometry = convGeometry(node, x.type.shape, kernel);
  if (geometry.group !== 1 || geometry.strides.some((stride) => stride !== 1)) return undefined;
  const image = toBlocked(builder, transpose(builder, x, [1, 0, 2, 3]));
  const kernels = blockWeight(builder, transpose(builder, dy, [1, 0, 2, 3]), target.blockSize);
  const dw = blockedConv(builder, image, kernels, undefined, {
    ...geometry,
    strides: geometry.dilations,
    dilations: geometry.strides,
  });
  return transpose(builder, fromBlocked(builder, dw, outChannels), [1, 0, 2, 3]);
}
