/**
 * The gradient of a convolution's weight, for a CPU.
 *
 * With a kernel of one pixel it is a product of matrices for each image, summed over the batch. Otherwise it is one
 * blocked convolution whose channels are the batch: x as [C, N, H, W], dY as its kernel [K, N, H', W'], strides and
 * dilations changing places, and the result is [C, K, h, w]. A blocked x keeps b channels side by side in its columns;
 * with the dilation times b the same convolution serves all of them.
 */
import { intsAttribute } from "../../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";
import { type ConvGeometry, convGeometry, reachedPads } from "../../build/conv-geometry.ts";
import { int64Constant } from "../../build/operands.ts";
import type { LoweringContext } from "../../definition.ts";
import { multiply } from "../../families/elementwise.ts";
import { gemm } from "../../families/matmul.ts";
import { maxPool } from "../../families/pool.ts";
import { reduceSum } from "../../families/reduce.ts";
import { concat, reshape, slice } from "../../families/shape/shape-ops.ts";
import {
  blockedConv,
  blockedForm,
  blockedStride,
  fromBlocked,
  matmulTransposed,
  reorderChannelsLast,
  toBlocked,
} from "../engine-operators.ts";
import { fillsBlocks, padAxis, swapOuter, withoutFactor } from "./forward.ts";

/** Undefined where neither form applies. */
export function lowerBlockedGradWeight(context: LoweringContext): Value | undefined {
  const { node, target } = context;
  const { builder } = context;
  const shape = intsAttribute(node, "shape");
  const kernel = shape.slice(2);
  if (kernel.length !== 2 || context.input(1).type.dtype !== "float32" || target.name !== "cpu") return undefined;
  const geometry = convGeometry(node, context.input(1).type.shape, kernel);
  if (geometry.group !== 1) return undefined;
  const { x, factor } = withoutFactor(builder, context.input(1), elementCount(shape));
  const dw = pointwise(context, x, geometry) ?? batchAsChannels(context, x, geometry);
  return dw === undefined || factor === undefined ? dw : multiply(builder, dw, factor);
}

/**
 * A kernel of one pixel without padding: Σₙ dY[n]·x[n]ᵀ over the pixels that the stride visits. Where the products of single
 * images are larger than the images, all pixels become the rows of one product.
 */
function pointwise(context: LoweringContext, x: Value, geometry: ConvGeometry): Value | undefined {
  const { builder, node } = context;
  const dy = context.input(0);
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = shape;
  if (height * width !== 1 || geometry.pads.some((pad) => pad !== 0)) return undefined;
  const [batch = 0, , outHeight = 0, outWidth = 0] = dy.type.shape;
  // The maximum over windows of one pixel takes every s-th pixel; Slice does the same many times slower.
  const blocked = blockedForm(builder, x);
  const strided = geometry.strides.every((stride) => stride === 1)
    ? x
    : blocked === undefined
      ? maxPool(builder, x, { kernel: [1, 1], strides: geometry.strides })
      : fromBlocked(builder, blockedStride(builder, blocked, geometry.strides), inChannels);
  const pixels = outHeight * outWidth;
  const [dyBlocked, xBlocked] = [blockedForm(builder, dy), blockedForm(builder, strided)];
  const productsAreLarger = outChannels * inChannels > pixels * (outChannels + inChannels);
  if (productsAreLarger && dyBlocked !== undefined && xBlocked !== undefined) {
    const rows = (image: Value, channels: number) =>
      reshape(builder, reorderChannelsLast(builder, image, channels), [batch * pixels, channels]);
    const dw = gemm(builder, rows(dyBlocked, outChannels), rows(xBlocked, inChannels), undefined, { transA: true });
    return reshape(builder, dw, shape);
  }
  const products = matmulTransposed(
    builder,
    reshape(builder, dy, [batch, outChannels, pixels]),
    reshape(builder, strided, [batch, inChannels, pixels]),
  );
  return reshape(builder, reduceSum(builder, products, [0], { keepDimensions: false }), shape);
}

function batchAsChannels(context: LoweringContext, image: Value, geometry: ConvGeometry): Value | undefined {
  const { builder, node, target } = context;
  const block = target.blockSize;
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, , height = 0, width = 0] = shape;
  const [batch = 0] = context.input(0).type.shape;
  if (!fillsBlocks(context, outChannels) || batch < block) return undefined;
  const dy = fillBatch(builder, toBlocked(builder, context.input(0)), block);
  const [rowDilation = 1, columnDilation = 1] = geometry.dilations;
  const [rowStride = 1, columnStride = 1] = geometry.strides;
  const source = blockedForm(builder, image);
  // Channels that lie between the columns are as many images side by side, column by column.
  const sideBySide = source === undefined || columnDilation > 1 ? 1 : block;
  const x = fillBatch(builder, sideBySide === 1 || source === undefined ? image : source, block);
  const [top = 0, left = 0, bottom = 0, right = 0] = reachedPads(
    geometry,
    [height, width],
    context.input(1).type.shape.slice(2),
    dy.type.shape.slice(2),
  );
  const columns = batchInside(builder, x, { block, sideBySide, left, right });
  const wide = blockedConv(builder, columns, kernelsFrom(builder, dy, block), {
    strides: [rowDilation, columnDilation],
    dilations: [rowStride, columnStride * sideBySide],
    // Rows of padding cost nothing here, columns much: those are in the image.
    pads: [top, 0, bottom, 0],
    group: 1,
  });
  const dw = fromBlocked(builder, wide, outChannels);
  const ends = [height, width * sideBySide];
  const exact = dw.type.shape.slice(2).every((size, axis) => size === ends[axis]);
  const cut = exact ? dw : slice(builder, dw, { axes: [2, 3], starts: [0, 0], ends });
  return inWeightOrder(builder, cut, shape, sideBySide);
}

/** Zeros that the engine makes when it loads the graph; layers of the same shape share them. */
function zeros(builder: GraphBuilder, shape: Shape): Value {
  return builder.one("ConstantOfShape", [int64Constant(builder, shape)]);
}

/** Zero images at the end, up to a whole number of blocks: they add nothing to the sum over the batch. */
function fillBatch(builder: GraphBuilder, x: Value, block: number): Value {
  return padAxis(builder, x, 0, Math.ceil((x.type.shape[0] ?? 0) / block) * block);
}

/**
 * x as an image whose channels are the batch, blocked, with columns of zeros: [C/e, N, H, (W + left + right)·e], where e
 * channels lie side by side (x is blocked, e = b) or one (x is NCHW). A reorder moves an axis inside in blocks,
 * whatever the axis means: here the batch.
 */
function batchInside(
  builder: GraphBuilder,
  x: Value,
  form: { readonly block: number; readonly sideBySide: number; readonly left: number; readonly right: number },
): Value {
  const { block, sideBySide, left, right } = form;
  const [batch = 0, channels = 0, height = 0, width = 0] = x.type.shape;
  const images = channels / sideBySide;
  const row = width * sideBySide * block;
  const inside = toBlocked(builder, reshape(builder, x, [1, batch, images * height, width * sideBySide]));
  const ordered = swapOuter(builder, inside, batch / block, images, height * row);
  const rows = images * (batch / block) * height;
  const side = (columns: number) => (columns === 0 ? [] : [zeros(builder, [rows, columns * sideBySide * block])]);
  const parts = [...side(left), reshape(builder, ordered, [rows, row]), ...side(right)];
  const padded = parts.length === 1 ? ordered : concat(builder, parts, 1);
  return reshape(builder, padded, [images, batch, height, (width + left + right) * sideBySide]);
}

/**
 * A blocked dY[N,K,H,W] as blocked kernels [K/b, N/b, H, W, b of N, b of K]: one reorder moves the batch inside, another
 * exchanges the two innermost axes.
 */
function kernelsFrom(builder: GraphBuilder, dy: Value, block: number): Value {
  const [batch = 0, channels = 0, height = 0, width = 0] = dy.type.shape;
  const blocks = channels / block;
  const byImage = toBlocked(builder, reshape(builder, dy, [batch / block, block, blocks * height, width * block]));
  const squares = (batch / block) * blocks * height * width;
  const byChannel = toBlocked(builder, reshape(builder, byImage, [squares, block, 1, block]));
  const ordered = swapOuter(builder, byChannel, batch / block, blocks, height * width * block * block);
  return reshape(builder, ordered, [channels, batch, height, width]);
}

/** dW[C/e, K, h, w·e] as [K, C, h, w]. */
function inWeightOrder(builder: GraphBuilder, dw: Value, shape: readonly number[], sideBySide: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = shape;
  const images = inChannels / sideBySide;
  const apart =
    sideBySide === 1
      ? dw
      : fromBlocked(builder, reshape(builder, dw, [images * outChannels, sideBySide, height, width]), sideBySide);
  return reshape(builder, swapOuter(builder, apart, images, outChannels, sideBySide * height * width), [
    outChannels,
    inChannels,
    height,
    width,
  ]);
}
