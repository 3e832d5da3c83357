/** A mean over height and width of [N, C, H, W], however an exporter writes it, as the average pool that it is. */
import { intAttribute } from "../../ir/attributes.ts";
import { toNumbers } from "../../ir/tensor.ts";
import type { Rewrite } from "./context.ts";
import { tensorOf, typeOf } from "./slots.ts";

/** Images: a mean over one axis of [N, T, D] may be one over tokens, which is no pool. */
const imageRank = 4;

/** Expects axes as an input, as since opset 18. Absent or empty axes mean all or none, which is no pool either. */
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
