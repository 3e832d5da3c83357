/** The importer as rules of operators see it. */

import { defined } from "../../base/defined.ts";
import type { RewriteContext } from "../../ops/rewrite/context.ts";
import { symbolicOf } from "../batch/symbolic.ts";
import type { Emitter } from "../emitter.ts";
import { expandTo, reshapeTo } from "./batch-forms.ts";
import { transposed } from "./moved-batch.ts";
import { isZero } from "./zeros.ts";

/** An emitter with what rules need besides. */
export function rewriteContext(e: Emitter): RewriteContext {
  return {
    constant: (tensor, name, stored) => e.constant(tensor, name, stored),
    integers: (elements, shape) => e.integers(elements, shape),
    integersOf: (slot) => (slot === undefined || slot.kind === "value" ? undefined : symbolicOf(slot)?.elements),
    emit: (op, inputs, attributes, options) => e.emit(op, inputs, attributes, options),
    one: (op, inputs, attributes) => e.one(op, inputs, attributes),
    reshape: (x, shape) => reshapeTo(e, x, shape),
    expand: (x, shape) => expandTo(e, x, shape),
    transpose: (x, order) => transposed(e, x, order),
    isZero: (x) => isZero(e, x),
    repeated: (place, op, inputs, attributes, outputCount) =>
      e.emit(op, inputs, attributes, { repeated: place, ...defined({ outputCount }) }),
    note: (text) => e.note(text),
  };
}
