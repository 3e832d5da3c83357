/** The importer as rules of operators see it. */

import type { RewriteContext } from "../../ops/rewrite/context.ts";
import { symbolicOf } from "../batch/symbolic.ts";
import type { Emitter } from "../emitter.ts";
import { expandTo, reshapeTo } from "./batch-forms.ts";

/** An emitter with what rules need besides. */
export function rewriteContext(e: Emitter): RewriteContext {
  return {
    constant: (tensor, name) => e.constant(tensor, name),
    integers: (elements, shape) => e.integers(elements, shape),
    integersOf: (slot) => (slot === undefined || slot.kind === "value" ? undefined : symbolicOf(slot)?.elements),
    emit: (op, inputs, attributes, options) => e.emit(op, inputs, attributes, options),
    one: (op, inputs, attributes) => e.one(op, inputs, attributes),
    reshape: (x, shape) => reshapeTo(e, x, shape),
    expand: (x, shape) => expandTo(e, x, shape),
    note: (text) => e.note(text),
  };
}
