/**
 * ONNX Runtime's own operators, as far as lowerings for a CPU emit them: their type rules, and functions that add them.
 *
 * The blocked ones (domain `com.microsoft.nchwc`) read and write tensors whose channels are split into blocks of the
 * vector width: element order [N, C/b, H, W, b], while the shape that ONNX sees stays [N, C, H, W].
 */

import { intAttribute, intsAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Node, OperatorCall, Value } from "../../ir/graph.ts";
import { sameShape, type TensorType } from "../../ir/types.ts";
import { type ConvGeometry, convGeometry, convOutputSizes, geometryAttributes } from "../build/conv-geometry.ts";
import { type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { cast } from "../families/cast.ts";

/** The domain of ONNX Runtime's blocked operators. */
export const blockedDomain = "com.microsoft.nchwc";
/** The domain of ONNX Runtime's own operators. */
export const engineDomain = "com.microsoft";

/** x[N,C,H,W] in blocks of channels. */
export function toBlocked(builder: GraphBuilder, x: Value): Value {
  const known = blockedForm(builder, x);
  if (known !== undefined) return known;
  const { dtype } = x.type;
  if (dtype !== "float32") return cast(builder, toBlocked(builder, cast(builder, x, "float32")), dtype);
  return reorderInput(builder, x);
}

/** The engine's own reordering of x[N,C,H,W], float32, into blocks of channels. */
export function reorderInput(builder: GraphBuilder, x: Value): Value {
  return builder.one("ReorderInput", [x], {}, { domain: blockedDomain });
}

/** The blocked tensor that x was made from, where it was: a reorder there and back is nothing. */
export function blockedForm(builder: GraphBuilder, x: Value): Value | undefined {
  const producer = builder.producerOf(x);
  if (producer?.op === "Cast" && x.type.dtype === "uint8") return castBlockedForm(builder, producer.inputs[0]);
  if (producer?.op !== "ReorderOutput" || producer.domain !== blockedDomain) return undefined;
  if (producer.attributes.channels_last === 1) return undefined;
  const [blocked] = producer.inputs;
  return blocked !== undefined && sameShape(blocked.type.shape, x.type.shape) ? blocked : undefined;
}

/** The blocked bytes behind what {@link fromBlocked} made of them. */
function castBlockedForm(builder: GraphBuilder, floats: Value | undefined): Value | undefined {
  const blocked = floats === undefined ? undefined : blockedForm(builder, floats);
  const producer = blocked === undefined ? undefined : builder.producerOf(blocked);
  const [bytes] = producer?.op === "Cast" ? producer.inputs : [];
  return bytes?.type.dtype === "uint8" ? bytes : undefined;
}

/**
 * A blocked tensor as x[N,channels,H,W]. The engine reorders floats only: bytes take a way round, which is there for what
 * reads them as they were, and is dropped where everything reads them blocked.
 */
export function fromBlocked(builder: GraphBuilder, x: Value, channels: number): Value {
  const { dtype } = x.type;
  if (dtype !== "float32") return cast(builder, fromBlocked(builder, cast(builder, x, "float32"), channels), dtype);
  return builder.one("ReorderOutput", [x], { channels }, { domain: blockedDomain });
}

/** Attributes and optional inputs of a blocked convolution. */
export interface BlockedConvOptions {
  readonly bias?: Value | undefined;
  /** A blocked tensor that is added to the result, in its own memory when nothing reads it later. */
  readonly sum?: Value | undefined;
  readonly activation?: BlockedActivation | undefined;
}

/** The activation that the engine applies to a convolution's result before it is stored. */
export interface BlockedActivation {
  readonly name: "Relu" | "Clip" | "HardSigmoid";
  readonly parameters: readonly number[];
}

/** A convolution of a blocked x (or an NCHW x with fewer channels than a block) with a blocked weight. */
export function blockedConv(
  builder: GraphBuilder,
  x: Value,
  weight: Value,
  geometry: ConvGeometry,
  { bias, sum, activation }: BlockedConvOptions = {},
): Value {
  const attributes = { kernel_shape: weight.type.shape.slice(2), ...geometryAttributes(geometry) };
  const fused =
    activation === undefined
      ? {}
      : { activation: activation.name, activation_params: { floats: activation.parameters } };
  const inputs = sum === undefined ? (bias === undefined ? [x, weight] : [x, weight, bias]) : [x, weight, bias, sum];
  return builder.one("Conv", inputs, { ...attributes, ...fused }, { domain: blockedDomain });
}

/** A blocked tensor as x[N,H,W,channels]. */
export function reorderChannelsLast(builder: GraphBuilder, x: Value, channels: number): Value {
  return builder.one("ReorderOutput", [x], { channels, channels_last: 1 }, { domain: blockedDomain });
}

/** The mean over the pixels of a blocked x[N,C,H,W], as an NCHW tensor [N,C,1,1]. */
export function blockedGlobalAverage(builder: GraphBuilder, x: Value): Value {
  const average = builder.one("GlobalAveragePool", [x], {}, { domain: blockedDomain });
  return fromBlocked(builder, average, x.type.shape[1] ?? 0);
}

/** Every s-th pixel of a blocked tensor: the maximum over windows of one pixel. */
export function blockedStride(builder: GraphBuilder, x: Value, strides: readonly number[]): Value {
  return builder.one("MaxPool", [x], { kernel_shape: [1, 1], strides }, { domain: blockedDomain });
}

/** x[..., m, k] times the transpose of y[..., n, k], batched over equal leading axes. */
export function matmulTransposed(builder: GraphBuilder, x: Value, y: Value): Value {
  return builder.one("FusedMatMul", [x, y], { transB: 1 }, { domain: engineDomain });
}

function inferReorderOutput(call: OperatorCall): TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const channels = intAttribute(call, "channels");
  const [batch = 1, , ...spatial] = shape;
  const isLast = intAttribute(call, "channels_last", 0) === 1;
  return [{ dtype, shape: isLast ? [batch, ...spatial, channels] : [batch, channels, ...spatial] }];
}

function inferBlockedConv(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const [outChannels = 0, , ...kernel] = requiredInput(call, 1).shape;
  const [batch = 0, , ...spatial] = x.shape;
  const sizes = convOutputSizes(spatial, kernel, convGeometry(call, x.shape, kernel));
  return [{ dtype: x.dtype, shape: [batch, outChannels, ...sizes] }];
}

function inferGlobalAverage(call: OperatorCall): TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  return [{ dtype, shape: shape.map((size, axis) => (axis < 2 ? size : 1)) }];
}

function inferBlockedPool(call: OperatorCall): TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const kernel = intsAttribute(call, "kernel_shape");
  const sizes = convOutputSizes(shape.slice(2), kernel, convGeometry(call, shape, kernel));
  return [{ dtype, shape: [...shape.slice(0, 2), ...sizes] }];
}

/** Only what {@link matmulTransposed} builds. */
function inferFusedMatMul(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const y = requiredInput(call, 1);
  const leading = x.shape.slice(0, -1);
  if (x.shape.length !== y.shape.length || x.shape.at(-1) !== y.shape.at(-1) || call.attributes.transB !== 1) {
    throw typeError(call, "the matrices do not fit");
  }
  return [{ dtype: x.dtype, shape: [...leading, y.shape.at(-2) ?? 1] }];
}

/** Whether a blocked convolution is a scale and an offset for each channel: see blockedAffine. */
function scalesChannels(node: Node): boolean {
  return (
    node.inputs.length <= 3 &&
    intAttribute(node, "group", 1) === node.outputs[0]?.type.shape[1] &&
    intsAttribute(node, "kernel_shape").every((size) => size === 1)
  );
}

/** The operators of this file. */
export const engineOperators: readonly OperatorDefinition[] = [
  {
    op: "ReorderInput",
    domain: blockedDomain,
    infer: (call) => [requiredInput(call, 0)],
    traits: { movement: true },
  },
  { op: "ReorderOutput", domain: blockedDomain, infer: inferReorderOutput, traits: { movement: true } },
  { op: "Conv", domain: blockedDomain, infer: inferBlockedConv, traits: { cheap: scalesChannels } },
  { op: "GlobalAveragePool", domain: blockedDomain, infer: inferGlobalAverage },
  { op: "MaxPool", domain: blockedDomain, infer: inferBlockedPool },
  { op: "FusedMatMul", domain: engineDomain, infer: inferFusedMatMul },
];
