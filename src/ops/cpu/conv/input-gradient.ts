/**
 * The gradient of a convolution's input with blocked convolutions.
 *
 * At stride 1 it is one convolution of dY with the weight transposed and mirrored. At a larger stride s the pixels of
 * dX fall into s·s phases by their position modulo s; each phase is a small convolution of dY with the kernel's taps
 * that reach it, and the phases are interleaved while they are still blocked, where that is copying whole rows.
 * Depthwise convolutions go the same way.
 */
import { intsAttribute } from "../../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { elementCount } from "../../../ir/types.ts";
import { type ConvGeometry, convGeometry } from "../../build/conv-geometry.ts";
import { at, int64Constant } from "../../build/operands.ts";
import type { LoweringContext } from "../../definition.ts";
import { gather } from "../../families/shape/indexing.ts";
import { concat, reshape } from "../../families/shape/shape-ops.ts";
import { blockedConv, fromBlocked, toBlocked } from "../engine-operators.ts";
import { blockDepthwiseWeight, isBlockedDepthwise } from "./depthwise.ts";
import { blockWeight, padAxis, paddedToBlocks, swapOuter } from "./forward.ts";

/** Undefined where the blocked form does not apply. */
export function lowerBlockedGradInput(context: LoweringContext): Value | undefined {
  const { builder, node, target } = context;
  const dy = context.input(0);
  const weight = context.input(1);
  const shape = intsAttribute(node, "shape");
  const [outChannels = 0, inChannels = 0, ...kernel] = weight.type.shape;
  if (kernel.length !== 2 || dy.type.dtype !== "float32") return undefined;
  const geometry = convGeometry(node, shape, kernel);
  const depthwise = isBlockedDepthwise(context, weight.type.shape, geometry.group);
  const [outPadded, inPadded] = [outChannels, inChannels].map((count) => paddedToBlocks(context, count));
  if (outPadded === undefined || (!depthwise && (geometry.group !== 1 || inPadded === undefined))) return undefined;
  const channels = depthwise ? outPadded : (inPadded ?? 0);
  const rows = axisPhases(0, shape, kernel, dy.type.shape, geometry);
  const columns = axisPhases(1, shape, kernel, dy.type.shape, geometry);
  if (rows === undefined || columns === undefined) return undefined;

  const blocked = toBlocked(builder, padAxis(builder, dy, 1, outPadded));
  const turned = depthwise
    ? blockDepthwiseWeight(builder, weight, target.blockSize)
    : turnedWeight(builder, padAxis(builder, padAxis(builder, weight, 1, channels), 0, outPadded), target.blockSize);
  const phase = (row: Phase, column: Phase): Value =>
    blockedConv(builder, blocked, takeTaps(builder, turned, kernel, row.taps, column.taps, target.blockSize), {
      strides: [1, 1],
      dilations: rows.length * columns.length === 1 ? geometry.dilations : [1, 1],
      pads: [row.before, column.before, row.after, column.after],
      group: geometry.group,
    });
  const images = rows.map((row) => columns.map((column) => phase(row, column)));
  return fromBlocked(
    builder,
    interleave(builder, images, [shape[0] ?? 0, channels, ...shape.slice(2)], target.blockSize),
    shape[1] ?? 0,
  );
}

/** The pixels of one axis of dX whose position is the same modulo the stride. */
interface Phase {
  /** Indices of the kernel's taps that reach them, in the order in which they meet dY. */
  readonly taps: readonly number[];
  /** Zeros that dY needs before and after. */
  readonly before: number;
  readonly after: number;
}

/**
 * Pixel h = s·m + r of dX receives tap i from row m + (r + pad − i)/s of dY, for the taps where that is whole. Undefined
 * where the phases differ in length, one has no tap, or dY would have to be cut: these are left to ConvTranspose.
 */
function axisPhases(
  axis: 0 | 1,
  shape: readonly number[],
  kernel: readonly number[],
  dyShape: readonly number[],
  geometry: ConvGeometry,
): Phase[] | undefined {
  const size = at(shape, axis + 2);
  const outputs = at(dyShape, axis + 2);
  const taps = at(kernel, axis);
  const stride = at(geometry.strides, axis);
  const dilation = at(geometry.dilations, axis);
  const pad = at(geometry.pads, axis);
  if (size % stride !== 0 || (stride > 1 && dilation > 1)) return undefined;
  const phases: Phase[] = [];
  for (let r = 0; r < stride; r++) {
    const reached = Array.from({ length: taps }, (_, i) => taps - 1 - i).filter(
      (tap) => (r + pad - tap * dilation) % stride === 0,
    );
    const first = reached[0];
    const last = reached.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const before = -(r + pad - first * dilation) / stride;
    const after = size / stride + (r + pad - last * dilation) / stride - outputs;
    if (before < 0 || after < 0) return undefined;
    phases.push({ taps: reached, before, after });
  }
  return phases;
}

/**
 * weight[K,C,h,w] blocked with its two channel axes exchanged: [C/b, K/b, h, w, b of K, b of C], made of what the forward
 * convolution reads.
 */
function turnedWeight(builder: GraphBuilder, weight: Value, block: number): Value {
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.type.shape;
  const blocked = blockWeight(builder, weight, block);
  const squares = elementCount(weight.type.shape) / block ** 2;
  const inside = toBlocked(builder, reshape(builder, blocked, [squares, block, 1, block]));
  const run = height * width * block ** 2;
  const outer = swapOuter(builder, inside, outChannels / block, inChannels / block, run);
  return reshape(builder, outer, [inChannels, outChannels, height, width]);
}

/** A blocked weight with some rows and columns of its kernel, in a new order. */
function takeTaps(
  builder: GraphBuilder,
  weight: Value,
  kernel: readonly number[],
  rows: readonly number[],
  columns: readonly number[],
  block: number,
): Value {
  const [outer = 0, inner = 0] = weight.type.shape;
  const [height = 0, width = 0] = kernel;
  const places = rows.flatMap((row) => columns.map((column) => row * width + column));
  if (places.length === height * width && places.every((place, i) => place === i)) return weight;
  // Depthwise filters have blocks of one axis only.
  const square = inner === 1 ? block : block ** 2;
  const flat = reshape(builder, weight, [(outer * inner) / square, height * width, square]);
  const taken = gather(builder, flat, int64Constant(builder, places), 1);
  return reshape(builder, taken, [outer, inner, rows.length, columns.length]);
}

/** Blocked images of phases, [row phase][column phase], as one blocked image. */
function interleave(
  builder: GraphBuilder,
  images: readonly (readonly Value[])[],
  shape: readonly number[],
  block: number,
): Value {
  const [batch = 0, channels = 0, height = 0, width = 0] = shape;
  const rowPhases = images.length;
  const columnPhases = at(images, 0).length;
  const rows = batch * (channels / block) * (height / rowPhases);
  const wide = images.map((row) => {
    const pixels = row.map((image) => reshape(builder, image, [rows * (width / columnPhases), 1, block]));
    return reshape(builder, join(builder, pixels), [rows, 1, width * block]);
  });
  return reshape(builder, join(builder, wide), shape);
}

function join(builder: GraphBuilder, parts: readonly Value[]): Value {
  return parts.length === 1 ? at(parts, 0) : concat(builder, parts, 1);
}
