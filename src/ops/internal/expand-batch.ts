/**
 * ExpandBatch(x, reference): x repeated along an axis of size 1 as often as the reference has rows.
 *
 * Expand names its sizes, so a graph with one holds for a single batch size. This operator takes the size from another
 * value: a class token or an initial state goes to every sample of whatever batch there is.
 */

import { intAttribute } from "../../ir/attributes.ts";
import { subbyteDomain } from "../../ir/graph.ts";
import { sumTo } from "../build/broadcast.ts";
import { axisOf } from "../build/operands.ts";
import { type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { expand } from "../families/shape/reshaping.ts";
import { data, token } from "../inputs.ts";

/** A value repeated for every sample of the batch. */
export const expandBatchOperator: OperatorDefinition = {
  op: "ExpandBatch",
  domain: subbyteDomain,
  inputs: [token("x"), data("reference")],
  infer(call) {
    const [x, reference] = [requiredInput(call, 0), requiredInput(call, 1)];
    const axis = axisOf(call, intAttribute(call, "axis", 0), x.shape.length);
    const [rows] = reference.shape;
    if (rows === undefined || x.shape[axis] !== 1) throw typeError(call, `axis ${axis} is not of size 1`);
    const size = rows * intAttribute(call, "factor", 1);
    return [{ dtype: x.dtype, shape: x.shape.map((other, i) => (i === axis ? size : other)) }];
  },
  gradient: ({ builder: b, input, outputGradient, needed }) => [
    needed[0] ? sumTo(b, outputGradient(0), input(0).type.shape) : undefined,
  ],
  lower({ builder: b, node, input }) {
    const [output] = node.outputs;
    return output === undefined ? [] : [expand(b, input(0), output.type.shape)];
  },
};

/** The operators of this file. */
export const expandBatchOperators: readonly OperatorDefinition[] = [expandBatchOperator];
