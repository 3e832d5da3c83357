/** Squeeze without axes, as torch's `x.squeeze()` is exported: it removes every axis of size 1, the batch among them. */

import { isSymbolic } from "../../ir/size.ts";
import { int64Slot, type Rewrite } from "./context.ts";
import { typeOf } from "./slots.ts";

/** The axes written out, without those whose size depends on the batch. */
export const squeezeAll: Rewrite = (e, node) => {
  const [x, axes] = node.inputs;
  if (x === undefined || axes !== undefined || !typeOf(x).shape.some(isSymbolic)) return node;
  const single = typeOf(x).shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  e.note(`"${node.name}" removes the axis of the batch where that is 1 in the file; here it stays.`);
  return single.length === 0 ? [x] : { ...node, inputs: [x, int64Slot(e, single)] };
};
