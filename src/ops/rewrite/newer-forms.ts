/** Forms that operators got in opsets which the engine does not have yet, as operators that it has. */

import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import { float32Scalar } from "../../ir/tensor.ts";
import { fixedSizes, type Rewrite, without } from "./context.ts";
import { type Slot, typeOf } from "./slots.ts";

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
