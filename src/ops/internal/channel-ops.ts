/**
 * Operators that treat each channel of x[N,C,...] by itself, and sums over whole tensors. They are neutral about how the
 * engine keeps the tensor: normalization is written with them, and a second lowering finds their form, a blocked one
 * where the tensor is blocked already (there a scale and an offset for each channel is a depthwise convolution of one
 * pixel, one pass in place of two or three).
 */
import { type GraphBuilder, type OperatorCall, subbyteDomain, type Value } from "../../ir/graph.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import {
  type BlockedActivation,
  blockedConv,
  blockedDomain,
  blockedForm,
  blockedGlobalAverage,
  fromBlocked,
  matmulTransposed,
  toBlocked,
} from "../cpu/engine-operators.ts";
import {
  type Lowering,
  type LoweringContext,
  type OperatorDefinition,
  requiredInput,
  typeError,
} from "../definition.ts";
import { add, multiply } from "../families/elementwise.ts";
import { reduceMean, reduceSum } from "../families/reduce.ts";
import { expand, reshape } from "../families/shape/shape-ops.ts";

/** x·scale + offset for each channel. */
export interface ChannelAffineOperands {
  readonly x: Value;
  /** [C]; absent: 1. */
  readonly scale?: Value | undefined;
  /** [C]; absent: 0. */
  readonly offset?: Value | undefined;
  /** A tensor like x that is added; its memory may be reused. */
  readonly sum?: Value | undefined;
}

/** x·scale + offset + sum, channel by channel. */
export function channelAffine(builder: GraphBuilder, { x, scale, offset, sum }: ChannelAffineOperands): Value {
  return builder.one("ChannelAffine", [x, scale, offset, sum], {}, { domain: subbyteDomain });
}

/** The mean of each channel over the other axes: [C]. */
export function channelMean(builder: GraphBuilder, x: Value): Value {
  return builder.one("ChannelMean", [x], {}, { domain: subbyteDomain });
}

/** Σ x·y over all elements, a scalar. */
export function dot(builder: GraphBuilder, x: Value, y: Value): Value {
  return builder.one("Dot", [x, y], {}, { domain: subbyteDomain });
}

/** Whether this tensor is blocked, or can be: floats or bytes, four axes and channels in whole blocks. */
export function canBeBlocked(x: Value, block: number): boolean {
  const { dtype, shape } = x.type;
  const isKept = dtype === "float32" || dtype === "uint8";
  return block > 1 && isKept && shape.length === 4 && (shape[1] ?? 0) % block === 0;
}

/** A blocked x·scale + offset + sum with an activation: a depthwise convolution of one pixel. */
export function blockedAffine(
  builder: GraphBuilder,
  { x, scale, offset, sum }: ChannelAffineOperands,
  activation?: BlockedActivation,
): Value {
  const channels = x.type.shape[1] ?? 0;
  const weight =
    scale === undefined || elementCount(scale.type.shape) === 1
      ? expand(builder, reshape(builder, scale ?? builder.scalar(1), [1, 1, 1, 1]), [channels, 1, 1, 1])
      : reshape(builder, scale, [channels, 1, 1, 1]);
  return blockedConv(
    builder,
    x,
    weight,
    { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: channels },
    { bias: offset, sum, activation },
  );
}

/** [C] as [C,1,...,1], so that it broadcasts over x[N,C,...]. */
export function perChannel(builder: GraphBuilder, vector: Value, rank: number): Value {
  return reshape(builder, vector, [vector.type.shape[0] ?? 0, ...new Array<number>(rank - 2).fill(1)]);
}

const arrangeAffine: Lowering = (context) => {
  const { builder, inputs, target } = context;
  const x = context.input(0);
  const [, scale, offset, sum] = inputs;
  const anyBlocked = [x, sum].some((value) => value !== undefined && blockedForm(builder, value) !== undefined);
  if (anyBlocked && canBeBlocked(x, target.blockSize)) {
    const folded = scale === undefined && sum === undefined ? offsetInConvolution(context, x, offset) : undefined;
    if (folded !== undefined) return [folded];
    const blocked = blockedAffine(builder, {
      x: toBlocked(builder, x),
      scale,
      offset,
      sum: sum === undefined ? undefined : toBlocked(builder, sum),
    });
    return [fromBlocked(builder, blocked, x.type.shape[1] ?? 0)];
  }
  const rank = x.type.shape.length;
  let y = scale === undefined ? x : multiply(builder, x, perChannel(builder, scale, rank));
  if (sum !== undefined) y = add(builder, y, sum);
  if (offset !== undefined) y = add(builder, y, perChannel(builder, offset, rank));
  return [y];
};

/** An offset of what a convolution makes for this node alone is the convolution's bias, which costs nothing. */
function offsetInConvolution(context: LoweringContext, x: Value, offset: Value | undefined): Value | undefined {
  const { builder } = context;
  const blocked = blockedForm(builder, x);
  const producer = blocked === undefined ? undefined : builder.producerOf(blocked);
  const isPlain =
    producer?.op === "Conv" && producer.domain === blockedDomain && producer.attributes.activation === undefined;
  if (!isPlain || producer.inputs.length !== 2 || !context.isOnlyConsumer(0)) return undefined;
  // It is the layer's own work still, and not the normalization's.
  const biased = builder.from(producer, () =>
    builder.one("Conv", [...producer.inputs, offset], producer.attributes, { domain: blockedDomain }),
  );
  return fromBlocked(builder, biased, x.type.shape[1] ?? 0);
}

/** In two steps, pixels first: one reduction over several axes that are not neighbours is many times slower. */
const arrangeMean: Lowering = (context) => {
  const { builder } = context;
  const x = context.input(0);
  const [batch = 1, channels = 1, ...spatial] = x.type.shape;
  const blocked = blockedForm(builder, x);
  if (blocked !== undefined) {
    const rows = reshape(builder, meanOfPixels(builder, blocked), [batch, channels]);
    return [reduceMean(builder, rows, [0], { keepDimensions: false })];
  }
  const rows = reduceMean(builder, reshape(builder, x, [batch, channels, elementCount(spatial)]), [2], {
    keepDimensions: false,
  });
  return [reduceMean(builder, rows, [0], { keepDimensions: false })];
};

/**
 * More pixels than these are averaged in two steps. The engine adds a channel up in one float32 after the other, and loses
 * digits with their number: of 112·112 pixels, with a mean of nine deviations, a variance was 1e-4 off.
 */
const mostPixels = 2500;

/** The mean over the pixels of a blocked x, as an NCHW tensor [N,C,1,1]. */
function meanOfPixels(builder: GraphBuilder, x: Value): Value {
  const [batch = 1, channels = 1, ...spatial] = x.type.shape;
  const pixels = elementCount(spatial);
  const rows = pixels > mostPixels ? divisorNearRoot(pixels) : 1;
  if (rows === 1) return blockedGlobalAverage(builder, x);
  // Rows of pixels stand one after another, like blocks of channels: each is averaged as if it were one.
  const apart = reshape(builder, x, [batch, channels * rows, pixels / rows, 1]);
  const means = builder.one("GlobalAveragePool", [apart], {}, { domain: blockedDomain });
  return blockedGlobalAverage(builder, reshape(builder, means, [batch, channels, rows, 1]));
}

/** The greatest divisor of `count` that is at most its square root. */
function divisorNearRoot(count: number): number {
  let divisor = Math.floor(Math.sqrt(count));
  while (count % divisor !== 0) divisor--;
  return divisor;
}

/**
 * In rows, so that the threads share them, then over the rows. The order of the elements does not matter as long as
 * both tensors have the same.
 */
const arrangeDot: Lowering = (context) => {
  const { builder, target } = context;
  const [x, y] = sameOrder(context, context.input(0), context.input(1));
  const count = elementCount(x.type.shape);
  const rows = greatestPowerOfTwo(count, 64);
  const split = (value: Value) => reshape(builder, value, [rows, 1, count / rows]);
  const products =
    target.name === "cpu" && x.type.dtype === "float32"
      ? matmulTransposed(builder, split(x), split(y))
      : reduceSum(builder, multiply(builder, split(x), split(y)), [2]);
  return [reduceSum(builder, products, undefined, { keepDimensions: false })];
};

/** The greatest power of two that divides `count`, at most `limit`. */
function greatestPowerOfTwo(count: number, limit: number): number {
  let power = 1;
  while (power < limit && count % (2 * power) === 0) power *= 2;
  return power;
}

/** Both tensors blocked when one of them is, else both as they are. */
function sameOrder(context: LoweringContext, x: Value, y: Value): readonly [Value, Value] {
  const { builder, target } = context;
  const anyBlocked = blockedForm(builder, x) !== undefined || blockedForm(builder, y) !== undefined;
  if (!anyBlocked || !canBeBlocked(x, target.blockSize)) return [x, y];
  return [toBlocked(builder, x), toBlocked(builder, y)];
}

function inferAffine(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const channels = x.shape[1] ?? 0;
  for (const vector of [call.inputs[1], call.inputs[2]]) {
    if (vector !== undefined && (vector.shape.length !== 1 || vector.shape[0] !== channels)) {
      throw typeError(call, `scale and offset must have ${channels} elements`);
    }
  }
  return [x];
}

/** Σ x·y over all elements. */
export const dotOperator: OperatorDefinition = {
  op: "Dot",
  domain: subbyteDomain,
  infer: (call) => [{ dtype: requiredInput(call, 0).dtype, shape: [] }],
  arrange: arrangeDot,
};

/** The operators of this file. */
export const channelOperators: readonly OperatorDefinition[] = [
  { op: "ChannelAffine", domain: subbyteDomain, infer: inferAffine, arrange: arrangeAffine },
  {
    op: "ChannelMean",
    domain: subbyteDomain,
    infer: (call) => [{ dtype: requiredInput(call, 0).dtype, shape: [requiredInput(call, 0).shape[1] ?? 0] }],
    arrange: arrangeMean,
  },
  dotOperator,
];
