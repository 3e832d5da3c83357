/** Nodes of files as other operators: forms that the engine does not have yet, Squeeze without axes, means over an image. */

import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import { isSymbolic } from "../../ir/size.ts";
import { float32Scalar, toNumbers } from "../../ir/tensor.ts";
import { fixedSizes, int64Slot, type Rewrite, without } from "./context.ts";
import { type Slot, tensorOf, typeOf } from "./slots.ts";

/** Since opset 28 the channels may be the outer ones, as DepthToSpace has had it since 11. */
export const spaceToDepth: Rewrite = (e, node) => {
  const [x] = node.inputs;
  const attributes = without(node.attributes, "mode");
  if (x === undefined || stringAttribute(node, "mode", "DCR") === "DCR") return { ...node, attributes };
  const [batch = 1] = typeOf(x).shape;
  const [channels = 1, height = 1, width = 1] = fixedSizes(node, typeOf(x).shape.slice(1));
  const block = intAttribute(node, "blocksize");
  const apart = e.reshape(x, [batch, channels, height / block, block, width / block, block]);
  const turned = e.one("Transpose", [apart], { perm: [0, 1, 3, 5, 2, 4] });
  return [e.reshape(turned, [batch, channels * block * block, height / block, width / block])];
};

/** Since opset 28 floats may have the remainder with the sign of the divisor. */
export const modulo: Rewrite = (e, node) => {
  const [x, y] = node.inputs;
  if (x === undefined || y === undefined || typeOf(x).dtype !== "float32" || intAttribute(node, "fmod", 0) === 1) {
    return node;
  }
  const zero = e.constant(float32Scalar(0));
  const below = (slot: Slot) => e.one("Less", [slot, zero]);
  const rest = e.one("Mod", [x, y], { fmod: 1 });
  const isOther = e.one("Xor", [below(rest), below(y)]);
  const isWhole = e.one("Equal", [rest, zero]);
  const moves = e.one("And", [isOther, e.one("Not", [isWhole])]);
  return [e.one("Where", [moves, e.one("Add", [rest, y]), rest])];
};

/**
 * Squeeze without axes, as torch's `x.squeeze()` is exported, removes every axis of size 1, the batch among them. The axes are
 * written out, without those whose size depends on the batch.
 */
export const squeezeAll: Rewrite = (e, node) => {
  const [x, axes] = node.inputs;
  if (x === undefined || axes !== undefined || !typeOf(x).shape.some(isSymbolic)) return node;
  const single = typeOf(x).shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  e.note(`"${node.name}" removes the axis of the batch where that is 1 in the file; here it stays.`);
  return single.length === 0 ? [x] : { ...node, inputs: [x, int64Slot(e, single)] };
};

/** Images: a mean over one axis of [N, T, D] may be one over tokens, which is no pool. */
const imageRank = 4;

/**
 * A mean over height and width of [N, C, H, W], however an exporter writes it, as the average pool that it is.
 * Expects axes as an input, as since opset 18. Absent or empty axes mean all or none, which is no pool either.
 */
export const spatialMean: Rewrite = (e, node) => {
  const [x, axesSlot] = node.inputs;
  const axes = tensorOf(axesSlot);
  if (x?.kind !== "value" || axes === undefined) return node;
  const { dtype, shape } = typeOf(x);
  if (dtype !== "float32" || shape.length !== imageRank) return node;
  const places = new Set(toNumbers(axes).map((axis) => (axis < 0 ? axis + imageRank : axis)));
  if (places.size !== 2 || !places.has(2) || !places.has(3)) return node;
  const pool = e.one("GlobalAveragePool", [x]);
  return [intAttribute(node, "keepdims", 1) === 0 ? e.one("Flatten", [pool], { axis: 1 }) : pool];
};
