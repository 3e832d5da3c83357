/**
 * Old forms of operators in their present one (opset 21): what changed, in which version, and how the old node is written
 * today. Most changes turned attributes into inputs.
 */

import { intAttribute, intsAttribute } from "../../ir/attributes.ts";
import type { Attributes } from "../../ir/graph.ts";
import { type Dimension, isSymbolic, productOf, quotient, sameSize } from "../../ir/size.ts";
import { float32Scalar, float32Tensor, toNumbers } from "../../ir/tensor.ts";
import type { DType } from "../../ir/types.ts";
import { dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { fixedSizes, floatOf, int64Slot, type Rewrite, type RewriteContext, type Upgrade, without } from "./context.ts";
import { modulo, spaceToDepth, spatialMean, squeezeAll } from "./forms.ts";
import { unrolled } from "./recurrent.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "./slots.ts";

/** Inputs filled up with gaps to the index at which another one is put. */
function withInput(node: SourceNode, index: number, slot: Slot | undefined): (Slot | undefined)[] {
  const inputs = [...node.inputs];
  while (inputs.length < index) inputs.push(undefined);
  inputs[index] = slot;
  return inputs;
}

/** An attribute that became an input: a list of integers. */
function listInput(attribute: string, index: number): Rewrite {
  return (e, node) => {
    if (node.attributes[attribute] === undefined) return node;
    const inputs = withInput(node, index, int64Slot(e, intsAttribute(node, attribute)));
    return { ...node, inputs, attributes: without(node.attributes, attribute) };
  };
}

const clip: Rewrite = (e, node) => {
  const bound = (name: string) => {
    const number = floatOf(node.attributes[name]);
    return number === undefined ? undefined : e.constant(float32Scalar(number));
  };
  return { ...node, inputs: [node.inputs[0], bound("min"), bound("max")], attributes: {} };
};

const slice: Rewrite = (e, node) => {
  const starts = intsAttribute(node, "starts");
  const first = starts.map((_, axis) => axis);
  const axes = intsAttribute(node, "axes", first);
  const lists = [starts, intsAttribute(node, "ends"), axes].map((list) => int64Slot(e, list));
  return { ...node, inputs: [node.inputs[0], ...lists], attributes: {} };
};

const pad: Rewrite = (e, node) => {
  const value = floatOf(node.attributes.value) ?? 0;
  const inputs = [node.inputs[0], int64Slot(e, intsAttribute(node, "pads")), e.constant(float32Scalar(value))];
  return { ...node, inputs, attributes: without(node.attributes, "pads", "value") };
};

const topK: Rewrite = (e, node) => ({
  ...node,
  inputs: [node.inputs[0], int64Slot(e, [intAttribute(node, "k")])],
  attributes: without(node.attributes, "k"),
});

/** The note for the user, once for each model, that dropout was left out. */
export const dropoutNote = "Dropout is removed: training runs without it.";

/** Dropout is for training by its author; fine-tuning and quantization go without. */
const dropout: Rewrite = (e, node) => {
  const [x] = node.inputs;
  const ratio = floatOf(node.attributes.ratio) ?? toNumbersOr(tensorOf(node.inputs[1]), 0.5);
  if (ratio > 0) e.note(dropoutNote);
  if (x === undefined) return node;
  const mask = () => e.one("Equal", [x, x]);
  return node.outputCount > 1 ? [x, mask()] : [x];
};

function toNumbersOr(tensor: ReturnType<typeof tensorOf>, fallback: number): number {
  return tensor === undefined || tensor.dtype !== "float32" ? fallback : (toNumbers(tensor)[0] ?? fallback);
}

/** Whether it was exported for training or not, a job decides which statistics it normalises by. */
const batchNormalization: Rewrite = (e, node) => {
  if (node.outputCount > 1 || node.attributes.training_mode === 1) {
    e.note("BatchNormalization was exported for training: evaluation uses its running statistics.");
  }
  const epsilon = node.attributes.epsilon ?? { float: 1e-5 };
  const momentum = node.attributes.momentum ?? { float: 0.9 };
  return { ...node, attributes: { epsilon, momentum }, outputCount: 1 };
};

/** Before 13, softmax ran over all axes from `axis` on, which was 1 unless stated. */
const softmax: Rewrite = (e, node) => {
  const [x] = node.inputs;
  if (x === undefined) return node;
  const { shape } = typeOf(x);
  const given = intAttribute(node, "axis", 1);
  const axis = given < 0 ? given + shape.length : given;
  if (shape.slice(axis + 1).every((size) => size === 1)) return { ...node, attributes: { axis } };
  const joined = e.reshape(x, [...shape.slice(0, axis), productOf(shape.slice(axis))]);
  return [e.reshape(e.one(node.op, [joined], { axis }), shape)];
};

/** Upsample, and Resize of opset 10, place pixels without an offset. */
const oldResize: Rewrite = (e, node) => {
  const { mode = "nearest", scales } = node.attributes;
  const factors = typeof scales === "object" && "floats" in scales ? scales.floats : undefined;
  const input = factors === undefined ? node.inputs[1] : e.constant(float32Tensor([factors.length], factors));
  return {
    ...node,
    op: "Resize",
    inputs: [node.inputs[0], undefined, input],
    attributes: { mode, coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    opset: 11,
  };
};

/** Only the axes whose size changes are named, so that the batch and the channels stay out of it. */
const resize: Rewrite = (e, node) => {
  const [x, , scales, sizes] = node.inputs;
  const isEmpty = (slot: Slot | undefined) => slot === undefined || typeOf(slot).shape[0] === 0;
  const attributes: Attributes =
    node.attributes.mode === "bilinear" ? { ...node.attributes, mode: "linear" } : node.attributes;
  const isSizes = isEmpty(scales);
  const numbers = isSizes ? e.integersOf(sizes) : scaleFactors(scales);
  if (x === undefined || numbers === undefined || attributes.axes !== undefined) return { ...node, attributes };
  const { shape } = typeOf(x);
  const axes = numbers.flatMap((number, axis) => (sameSize(number, isSizes ? shape[axis] : 1) ? [] : [axis]));
  const isWhole = numbers.length === shape.length;
  const crops = attributes.coordinate_transformation_mode === "tf_crop_and_resize";
  const keepsRatio = (attributes.keep_aspect_ratio_policy ?? "stretch") !== "stretch";
  if (!isWhole || crops || keepsRatio) return { ...node, attributes };
  if (axes.length === 0) return [x];
  const wanted = axes.map((axis) => numbers[axis] ?? 1);
  const picked = fixedSizes(node, wanted);
  const lengths = isSizes ? int64Slot(e, picked) : e.constant(float32Tensor([picked.length], picked));
  const inputs = isSizes ? [x, undefined, undefined, lengths] : [x, undefined, lengths];
  return { ...node, inputs, attributes: { ...attributes, axes } };
};

function scaleFactors(slot: Slot | undefined): readonly number[] | undefined {
  const tensor = tensorOf(slot);
  return tensor === undefined ? undefined : toNumbers(tensor);
}

/** The sizes of the parts, which opset 18 may leave to their number. */
const split: Rewrite = (e, node) => {
  const [x, sizes] = node.inputs;
  if (x === undefined || sizes !== undefined) return node;
  const { shape } = typeOf(x);
  const given = intAttribute(node, "axis", 0);
  const size = shape[given < 0 ? given + shape.length : given] ?? 0;
  return { ...node, inputs: [x, partSizes(e, node, size)], attributes: without(node.attributes, "num_outputs") };
};

function partSizes(e: RewriteContext, node: SourceNode, size: Dimension): Slot {
  const count = node.outputCount;
  const equal = isSymbolic(size) ? quotient(size, count) : undefined;
  if (equal !== undefined) return e.integers(new Array<Dimension>(count).fill(equal));
  const [whole = 0] = fixedSizes(node, [size]);
  const part = Math.ceil(whole / Math.max(1, count));
  return int64Slot(
    e,
    Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, whole - i * part))),
  );
}

/** The group form of opset 18 has one scale for each group. */
const groupNormalization: Rewrite = (e, node) => {
  const [x, scale, bias] = node.inputs;
  if (x === undefined || scale === undefined || bias === undefined) return node;
  const [channels = 1] = fixedSizes(node, typeOf(x).shape.slice(1, 2));
  const groups = intAttribute(node, "num_groups");
  const perChannel = (slot: Slot) => {
    const wide = e.one("Expand", [e.reshape(slot, [groups, 1]), int64Slot(e, [groups, channels / groups])]);
    return e.reshape(wide, [channels]);
  };
  if (!Number.isInteger(channels / groups)) return node;
  const inputs = groups === channels ? node.inputs : [x, perChannel(scale), perChannel(bias)];
  return { ...node, inputs };
};

const renamed =
  (op: string): Rewrite =>
  (_, node) => ({ ...node, op });

/** CastLike with the element type written out. */
const castLike: Rewrite = (_, node) => {
  const like = node.inputs[1];
  if (like === undefined) return node;
  return { ...node, op: "Cast", inputs: [node.inputs[0]], attributes: { to: dtypeToOnnx(typeOf(like).dtype) } };
};

/** A maximum over everything but batch and channels has a gradient as a reduction. */
const globalMaxPool: Rewrite = (e, node) => {
  const [x] = node.inputs;
  if (x === undefined) return node;
  const axes = typeOf(x)
    .shape.map((_, axis) => axis)
    .slice(2);
  return { ...node, op: "ReduceMax", inputs: [x, int64Slot(e, axes)], attributes: { keepdims: 1 } };
};

/** The engine has kernels for one element type; ONNX lets base and exponent differ. */
const power: Rewrite = (e, node) => {
  const [base, exponent] = node.inputs;
  if (base === undefined || exponent === undefined || typeOf(base).dtype === typeOf(exponent).dtype) return node;
  const cast = (slot: Slot, dtype: DType) => e.one("Cast", [slot], { to: dtypeToOnnx(dtype) });
  const { dtype } = typeOf(base);
  if (dtype === "float32") return { ...node, inputs: [base, cast(exponent, "float32")] };
  const result = e.one("Pow", [cast(base, "float32"), cast(exponent, "float32")]);
  return [cast(result, dtype)];
};

/** The layout with the batch first is the other one, transposed. */
const recurrent: Rewrite = (e, node) => {
  if (node.attributes.layout !== 1) return node;
  const swap = (slot: Slot | undefined) =>
    slot === undefined ? undefined : e.one("Transpose", [slot], { perm: [1, 0, 2] });
  const inputs = node.inputs.map((slot, i) => (i === 0 || i === 5 || i === 6 ? swap(slot) : slot));
  const [sequence, ...states] = e.emit(node.op, inputs, without(node.attributes, "layout"), {
    outputCount: node.outputCount,
  });
  if (sequence === undefined) return node;
  return [e.one("Transpose", [sequence], { perm: [2, 0, 1, 3] }), ...states.map(swap)];
};

/** Clip had its bounds as attributes. */
export const clipUpgrades: readonly Upgrade[] = [{ before: 11, rewrite: clip }];
/** Slice had its ranges as attributes. */
export const sliceUpgrades: readonly Upgrade[] = [{ before: 10, rewrite: slice }];
/** Pad had its pads and its value as attributes. */
export const padUpgrades: readonly Upgrade[] = [{ before: 11, rewrite: pad }];
/** TopK had its number as an attribute. */
export const topKUpgrades: readonly Upgrade[] = [{ before: 10, rewrite: topK }];
/** Unsqueeze had its axes as an attribute. */
export const unsqueezeUpgrades: readonly Upgrade[] = [{ before: 13, rewrite: listInput("axes", 1) }];
/** Squeeze had its axes as an attribute; without any it removes all of size 1. */
export const squeezeUpgrades: readonly Upgrade[] = [...unsqueezeUpgrades, { rewrite: squeezeAll }];
/** Split had its sizes as an attribute, and may still leave them out. */
export const splitUpgrades: readonly Upgrade[] = [{ before: 13, rewrite: listInput("split", 1) }, { rewrite: split }];
/** ReduceSum had its axes as an attribute. */
export const reduceSumUpgrades: readonly Upgrade[] = [{ before: 13, rewrite: listInput("axes", 1) }];
/** The other reductions had their axes as an attribute for longer. */
export const reduceUpgrades: readonly Upgrade[] = [{ before: 18, rewrite: listInput("axes", 1) }];
/** ReduceMean is an average pool where it is over the image. */
export const reduceMeanUpgrades: readonly Upgrade[] = [...reduceUpgrades, { rewrite: spatialMean }];
/** Softmax and its relatives ran over all axes from one on. */
export const softmaxUpgrades: readonly Upgrade[] = [{ before: 13, rewrite: softmax }];
/** Upsample is the first form of Resize. */
export const upsampleUpgrades: readonly Upgrade[] = [{ rewrite: oldResize }];
/** Resize had other defaults, and names all axes. */
export const resizeUpgrades: readonly Upgrade[] = [{ before: 11, rewrite: oldResize }, { rewrite: resize }];
/** GroupNormalization had one scale for each group. */
export const groupNormalizationUpgrades: readonly Upgrade[] = [{ before: 21, rewrite: groupNormalization }];
/** BatchNormalization may be exported for training. */
export const batchNormalizationUpgrades: readonly Upgrade[] = [{ rewrite: batchNormalization }];
/** Dropout does nothing in evaluation. */
export const dropoutUpgrades: readonly Upgrade[] = [{ rewrite: dropout }];
/** Scatter is the old name of ScatterElements. */
export const scatterUpgrades: readonly Upgrade[] = [{ rewrite: renamed("ScatterElements") }];
/** CastLike is a Cast to a type that is known. */
export const castLikeUpgrades: readonly Upgrade[] = [{ rewrite: castLike }];
/** GlobalMaxPool is a ReduceMax. */
export const globalMaxPoolUpgrades: readonly Upgrade[] = [{ rewrite: globalMaxPool }];
/** Pow may have operands of two types. */
export const powerUpgrades: readonly Upgrade[] = [{ rewrite: power }];
/** SpaceToDepth has a mode since opset 28. */
export const spaceToDepthUpgrades: readonly Upgrade[] = [{ rewrite: spaceToDepth }];
/** Mod takes floats with either sign since opset 28. */
export const moduloUpgrades: readonly Upgrade[] = [{ rewrite: modulo }];
/** LSTM, GRU and RNN are written out over time; where they cannot be, they may have the batch first. */
export const recurrentUpgrades: readonly Upgrade[] = [{ rewrite: unrolled }, { rewrite: recurrent }];
