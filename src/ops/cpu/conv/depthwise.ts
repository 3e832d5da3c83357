/**
 * Depthwise convolutions for a CPU: a filter of its own for each channel, as MobileNets have. ONNX Runtime's blocked
 * convolution has a form for them, in which a block of channels is a vector.
 *
 * - dX: dY with the mirrored filter, in phases where there is a stride (input-gradient.ts).
 * - dW: for each image and channel, x convolved with dY as its filter. A blocked x[N,C,H,W] is, element by element, one
 *   blocked image of N·C channels, and a blocked dY the blocked filters of a depthwise convolution over them. So nothing is
 *   moved: one depthwise convolution gives dW of every image, and their sum is left.
 */
import { intsAttribute } from "../../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { convGeometry, reachedPads } from "../../build/conv-geometry.ts";
import { at } from "../../build/operands.ts";
import type { LoweringContext } from "../../definition.ts";
import { reduceSum } from "../../families/reduce.ts";
import { reshape, slice } from "../../families/shape/shape-ops.ts";
import { blockedConv, fromBlocked, toBlocked } from "../engine-operators.ts";
import { fillsBlocks } from "./forward.ts";

/** Whether each channel has one filter, and channels fill whole blocks. `weight` is its shape. */
export function isBlockedDepthwise(context: LoweringContext, weight: readonly number[], group: number): boolean {
  const [outChannels = 0, perGroup = 0] = weight;
  return group > 1 && group === outChannels && perGroup === 1 && fillsBlocks(context, outChannels);
}

/** weight[C,1,h,w] in the order in which the engine reads it: [C/b, 1, h, w, b]. */
export function blockDepthwiseWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  const [channels = 0, , height = 0, width = 0] = weight.type.shape;
  const rows = reshape(builder, weight, [channels / block, block, height, width]);
  return reshape(builder, toBlocked(builder, rows), weight.type.shape);
}

/** y of a depthwise convolution; undefined where the form does not apply. */
export function lowerDepthwiseConv(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const [x, weight] = [context.input(0), context.input(1)];
  const [channels = 0, , ...kernel] = weight.type.shape;
  if (kernel.length !== 2 || x.type.dtype !== "float32") return undefined;
  const geometry = convGeometry(node, x.type.shape, kernel);
  if (!isBlockedDepthwise(context, weight.type.shape, geometry.group)) return undefined;
  const filters = blockDepthwiseWeight(builder, weight, target.blockSize);
  const y = blockedConv(builder, toBlocked(builder, x), filters, geometry, { bias: context.inputs[2] });
  return fromBlocked(builder, y, channels);
}

/** dW of a depthwise convolution; undefined where the form does not apply. */
export function lowerDepthwiseGradWeight(context: LoweringContext): Value | undefined {
  const { builder, node } = context;
  const [dy, x] = [context.input(0), context.input(1)];
  const shape = intsAttribute(node, "shape");
  const kernel = shape.slice(2);
  if (kernel.length !== 2 || x.type.dtype !== "float32") return undefined;
  const geometry = convGeometry(node, x.type.shape, kernel);
  if (!isBlockedDepthwise(context, shape, geometry.group)) return undefined;
  const [batch = 0, channels = 0, ...spatial] = x.type.shape;
  const images = batch * channels;
  const products = blockedConv(
    builder,
    reshape(builder, toBlocked(builder, x), [1, images, ...spatial]),
    reshape(builder, toBlocked(builder, dy), [images, 1, ...dy.type.shape.slice(2)]),
    {
      strides: geometry.dilations,
      dilations: geometry.strides,
      pads: reachedPads(geometry, kernel, spatial, dy.type.shape.slice(2)),
      group: images,
    },
  );
  const [, , height = 0, width = 0] = products.type.shape;
  const rows = reshape(builder, products, [batch, channels, height, width]);
  const sum = reshape(builder, reduceSum(builder, rows, [0]), [1, channels, height, width]);
  const dw = fromBlocked(builder, sum, channels);
  const exact = height === at(kernel, 0) && width === at(kernel, 1);
  const cut = exact ? dw : slice(builder, dw, { axes: [2, 3], starts: [0, 0], ends: kernel });
  return reshape(builder, cut, shape);
}
