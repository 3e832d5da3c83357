/**
 * Forward convolutions for a CPU: ONNX Runtime's blocked convolution, which is about twice as fast as its plain one when
 * the weights are computed. Its result stays blocked through what follows, as far as that can be
 * (blocked-standard.ts, channel-ops.ts). input-gradient.ts and weight-gradient.ts hold the gradients.
 *
 * Every lowering returns undefined where the blocked form does not apply (channels that are no multiple of the
 * block, groups, ranks other than four), and the caller falls back to the standard form.
 */
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { elementCount, type Shape, sameShape } from "../../../ir/types.ts";
import { convGeometry } from "../../build/conv-geometry.ts";
import type { LoweringContext } from "../../definition.ts";
import { multiply } from "../../families/elementwise.ts";
import { constantOfShape } from "../../families/shape/indexing.ts";
import { concat, reshape, transpose } from "../../families/shape/shape-ops.ts";
import { blockedConv, blockedForm, fromBlocked, toBlocked } from "../engine-operators.ts";

/** Whether the target has blocked convolutions and this many channels fill whole blocks. */
export function fillsBlocks(context: LoweringContext, ...channels: readonly number[]): boolean {
  const block = context.target.blockSize;
  return block > 1 && channels.every((count) => count > 0 && count % block === 0);
}

/**
 * The channels of the whole blocks that hold `count` channels. Undefined where there are no blocks, or where more than
 * half of a block would be padding.
 */
export function paddedToBlocks({ target }: LoweringContext, count: number): number | undefined {
  const block = target.blockSize;
  return block > 1 && count >= block ? Math.ceil(count / block) * block : undefined;
}

/** x with zeros behind its elements along an axis, up to `size`; x itself where it has that size. */
export function padAxis(builder: GraphBuilder, x: Value, axis: number, size: number): Value {
  const { shape } = x.type;
  const missing = size - (shape[axis] ?? 0);
  if (missing === 0) return x;
  const zeros = constantOfShape(
    builder,
    shape.map((other, i) => (i === axis ? missing : other)),
  );
  return concat(builder, [x, zeros], axis);
}

/**
 * weight[K,C,h,w] in the order in which the engine reads it: [K/b, C/b, h, w, b of C, b of K]. A reorder moves an axis
 * inside in blocks, whatever the axis means: first the channels of each filter, then the filters. That is many times
 * faster than a transposition, which in the engine takes the elements one by one.
 */
export function blockWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.type.shape;
  const filters = (outChannels * inChannels) / block;
  const channelsInside = toBlocked(builder, reshape(builder, weight, [filters, block, height, width]));
  return filtersInside(builder, channelsInside, weight.type.shape, block);
}

/** weight[K,C,h,w] for an input with fewer channels than a block, which stays NCHW: [K/b, C, h, w, b of K]. */
function blockFirstWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  return filtersInside(builder, weight, weight.type.shape, block);
}

/** [K, ...] as [K/b, ..., b of K]. */
function filtersInside(builder: GraphBuilder, weight: Value, shape: Shape, block: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = shape;
  const rows = reshape(builder, weight, [outChannels / block, block, inChannels, height * width]);
  return reshape(builder, toBlocked(builder, rows), shape);
}

/** [outer, inner, run] as [inner, outer, run], where that moves anything. */
export function swapOuter(builder: GraphBuilder, x: Value, outer: number, inner: number, run: number): Value {
  if (outer === 1 || inner === 1) return x;
  return transpose(builder, reshape(builder, x, [outer, inner, run]), [1, 0, 2]);
}

/**
 * An image without the factor that it was multiplied by last, where that costs less on the weight: a quantized tensor is
 * then convolved as its codes, and its product with the step is never made.
 */
export function withoutFactor(
  builder: GraphBuilder,
  x: Value,
  weightSize: number,
): { readonly x: Value; readonly factor: Value | undefined } {
  const kept = { x, factor: undefined };
  if (weightSize > elementCount(x.type.shape)) return kept;
  const blocked = blockedForm(builder, x);
  const producer = builder.producerOf(blocked ?? x);
  const [source, factor] = producer?.inputs ?? [];
  if (producer?.op !== "Mul" || source === undefined || factor === undefined) return kept;
  if (elementCount(factor.type.shape) !== 1 || !sameShape(source.type.shape, x.type.shape)) return kept;
  return { x: blocked === undefined ? source : fromBlocked(builder, source, x.type.shape[1] ?? 0), factor };
}

/**
 * x and y are NCHW outside, blocked inside. Channels that do not fill their last block are filled up with zeros, whose
 * filters are zeros.
 */
export function lowerBlockedConv(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const [outChannels = 0, inChannels = 0, ...kernel] = context.input(1).type.shape;
  if (kernel.length !== 2) return undefined;
  const geometry = convGeometry(node, context.input(0).type.shape, kernel);
  if (geometry.group !== 1 || context.input(0).type.dtype !== "float32") return undefined;
  const outPadded = paddedToBlocks(context, outChannels);
  const inPadded = inChannels < target.blockSize ? inChannels : paddedToBlocks(context, inChannels);
  if (outPadded === undefined || inPadded === undefined) return undefined;
  const { x, factor } = withoutFactor(builder, context.input(0), elementCount(context.input(1).type.shape));
  // Blocked before it is scaled, so that the gradient of the input, which has no such factor, starts from the same tensor.
  const scaled = (weight: Value) => (factor === undefined ? weight : multiply(builder, weight, factor));
  const weight = padAxis(builder, padAxis(builder, context.input(1), 1, inPadded), 0, outPadded);
  const bias = context.inputs[2] === undefined ? undefined : padAxis(builder, context.inputs[2], 0, outPadded);
  if (inChannels < target.blockSize) {
    const first = scaled(blockFirstWeight(builder, weight, target.blockSize));
    const y = blockedConv(builder, x, first, geometry, { bias });
    return fromBlocked(builder, y, outChannels);
  }
  const image = toBlocked(builder, padAxis(builder, x, 1, inPadded));
  const blocked = scaled(blockWeight(builder, weight, target.blockSize));
  return fromBlocked(builder, blockedConv(builder, image, blocked, geometry, { bias }), outChannels);
}
