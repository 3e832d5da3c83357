/**
 * Standard operators on tensors that are blocked already. What an element becomes does not depend on where it lies, so
 * pointwise operators run on the blocked tensors as they are and give a blocked one; only what they feed that needs
 * NCHW reorders it. One tensor of several that is not blocked yet is reordered: what follows mostly wants it so.
 */

import { floatAttribute } from "../../ir/attributes.ts";
import type { Value } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { elementCount, sameShape } from "../../ir/types.ts";
import type { BlockedForm, LoweringContext } from "../definition.ts";
import { reduceMax, reduceMin } from "../families/reduce.ts";
import { reshape } from "../families/shape/shape-ops.ts";
import { blockedAffine, canBeBlocked } from "../internal/channel-ops.ts";
import {
  type BlockedActivation,
  blockedDomain,
  blockedForm,
  blockedGlobalAverage,
  fromBlocked,
  toBlocked,
} from "./engine-operators.ts";

/** The node's outputs on blocked tensors by its operator's form; undefined where it stays as it is. */
export function arrangeBlocked(context: LoweringContext, form: BlockedForm | undefined): readonly Value[] | undefined {
  const { builder, node, inputs } = context;
  if (form === undefined || node.outputs.length !== 1) return undefined;
  if (!inputs.some((value) => value !== undefined && blockedForm(builder, value) !== undefined)) return undefined;
  const result = resultOf(context, form);
  return result === undefined ? undefined : [result];
}

function resultOf(context: LoweringContext, form: BlockedForm): Value | undefined {
  switch (form) {
    case "pointwise":
      return onBlocked(context);
    case "reduction":
      return reduceAll(context);
    case "average": {
      const { builder, inputs } = context;
      const x = inputs[0] === undefined ? undefined : blockedForm(builder, inputs[0]);
      return x === undefined ? undefined : blockedGlobalAverage(builder, x);
    }
    case "own":
      return undefined;
  }
}

function onBlocked(context: LoweringContext): Value | undefined {
  const { builder, node, inputs, target } = context;
  const type = node.outputs[0]?.type;
  if (type === undefined || !["float32", "uint8"].includes(type.dtype)) return undefined;
  const isFull = (value: Value | undefined) => value !== undefined && sameShape(value.type.shape, type.shape);
  const isScalar = (value: Value | undefined) => value === undefined || elementCount(value.type.shape) === 1;
  const full = inputs.find(isFull);
  if (full === undefined || !canBeBlocked(full, target.blockSize)) return undefined;
  const wrap = (value: Value) => fromBlocked(builder, value, type.shape[1] ?? 0);
  if (!inputs.every((value) => isFull(value) || isScalar(value))) return undefined;
  const blocked = inputs.map((value) => (value !== undefined && isFull(value) ? toBlocked(builder, value) : value));
  const fused = withActivation(context, blocked[0]);
  return wrap(fused ?? builder.one(node.op, blocked, node.attributes));
}

/**
 * A scale and offset of each channel, or a scale of the whole tensor, with the activation that follows: one pass in
 * place of two. The product is rounded before the activation, so the result is the same bit for bit.
 */
function withActivation(context: LoweringContext, x: Value | undefined): Value | undefined {
  const { builder } = context;
  const activation = activationOf(context);
  const producer = x === undefined ? undefined : builder.producerOf(x);
  if (activation === undefined || producer === undefined) return undefined;
  const [source, factor, offset, ...others] = producer.inputs;
  if (source === undefined || factor === undefined || others.length > 0) return undefined;
  if (producer.op === "Mul" && elementCount(factor.type.shape) === 1) {
    return blockedAffine(builder, { x: source, scale: factor }, activation);
  }
  const isAffine =
    producer.op === "Conv" && producer.domain === blockedDomain && producer.attributes.group === x?.type.shape[1];
  if (
    !isAffine ||
    producer.attributes.activation !== undefined ||
    elementCount(factor.type.shape) !== producer.attributes.group
  )
    return undefined;
  return builder.one(
    "Conv",
    offset === undefined ? [source, factor] : [source, factor, offset],
    { ...producer.attributes, activation: activation.name, activation_params: { floats: activation.parameters } },
    { domain: blockedDomain },
  );
}

/** The node as an activation that a convolution can apply. */
function activationOf({ builder, node, inputs }: LoweringContext): BlockedActivation | undefined {
  if (node.op === "Relu") return { name: "Relu", parameters: [] };
  if (node.op === "HardSigmoid") {
    return {
      name: "HardSigmoid",
      parameters: [floatAttribute(node, "alpha", 0.2), floatAttribute(node, "beta", 0.5)],
    };
  }
  if (node.op !== "Clip") return undefined;
  const bounds = [inputs[1], inputs[2]].flatMap((value) => {
    const tensor = value === undefined ? undefined : builder.constantOf(value);
    return tensor === undefined ? [] : toNumbers(tensor);
  });
  return bounds.length === 2 ? { name: "Clip", parameters: bounds } : undefined;
}

/**
 * A reduction of everything to a scalar. Extremes are taken in rows first, which the threads share: the engine reduces a
 * whole tensor in one thread. Sums are not, since their last bits depend on the order.
 */
function reduceAll(context: LoweringContext): Value | undefined {
  const { builder, node, inputs } = context;
  const [x, ...rest] = inputs;
  const blocked = x === undefined ? undefined : blockedForm(builder, x);
  const type = node.outputs[0]?.type;
  if (blocked === undefined || type === undefined || elementCount(type.shape) !== 1) return undefined;
  const [batch = 1] = blocked.type.shape;
  const extreme = node.op === "ReduceMax" ? reduceMax : node.op === "ReduceMin" ? reduceMin : undefined;
  if (extreme === undefined || batch === 1) return builder.one(node.op, [blocked, ...rest], node.attributes);
  const rows = reshape(builder, blocked, [batch, elementCount(blocked.type.shape) / batch]);
  const extremes = extreme(builder, rows, [1], { keepDimensions: false });
  return reshape(builder, extreme(builder, extremes, [0], { keepDimensions: false }), type.shape);
}
