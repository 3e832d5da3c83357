/**
 * Where a gradient passes an activation that is limited on one side or on both: 1 inside the limits, 0 outside.
 *
 * One operator for both limits, because several masks of one tensor (of ReLU6 and of the quantizer behind it) are one mask
 * with closer limits (compile/passes/join-masks.ts), and because a tensor that is blocked takes two passes for both.
 */
import { intAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, subbyteDomain, type Value } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { atMost, notNegative, positive, stepSlope } from "../build/masks.ts";
import { scalarOf } from "../build/operands.ts";
import { blockedForm, fromBlocked } from "../cpu/engine-operators.ts";
import { type Lowering, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { multiply, subtract } from "../families/elementwise.ts";
import { expand, reshape } from "../families/shape/shape-ops.ts";
import { blockedAffine, canBeBlocked } from "./channel-ops.ts";

const insideLimitsName = "InsideLimits";

/** Limits that x is compared with. */
export interface Limits {
  /** Whether x must be greater than 0. */
  readonly positive: boolean;
  /** A positive scalar that x must not exceed. */
  readonly upper?: Value | number | undefined;
}

/** 1 where a float32 x keeps the limits, of which there must be one at least, else 0. Exact for normal numbers. */
export function insideLimits(builder: GraphBuilder, x: Value, limits: Limits): Value {
  const { upper } = limits;
  const bound = typeof upper === "number" ? scalarOf(builder, upper, "float32") : upper;
  const attributes = { positive: limits.positive ? 1 : 0 };
  return builder.one(insideLimitsName, bound === undefined ? [x] : [x, bound], attributes, {
    domain: subbyteDomain,
  });
}

/** 2²⁶: with it the distance of x from a limit that it exceeds, which is at least 2⁻²⁴·x, becomes greater than x. */
const beyond = 2 ** 26;

const arrange: Lowering = (context) => {
  const { builder, node, inputs } = context;
  const x = context.input(0);
  const upper = inputs[1];
  const isPositive = intAttribute(node, "positive") === 1;
  const blocked = canBeBlocked(x, context.target.blockSize) ? blockedForm(builder, x) : undefined;
  const maskFor = blocked === undefined ? plainMask : blockedMask;
  const form = blocked ?? x;
  const mask = upper === undefined ? positive(builder, form) : maskFor(builder, form, upper, isPositive);
  return [blocked === undefined ? mask : fromBlocked(builder, mask, x.type.shape[1] ?? 0)];
};

function plainMask(builder: GraphBuilder, x: Value, upper: Value, isPositive: boolean): Value {
  const known = builder.constantOf(upper);
  const [bound] = known === undefined ? [] : toNumbers(known);
  const below = bound === undefined ? notNegative(builder, subtract(builder, upper, x)) : atMost(builder, x, bound);
  return isPositive ? multiply(builder, below, positive(builder, x)) : below;
}

function blockedMask(builder: GraphBuilder, x: Value, upper: Value, isPositive: boolean): Value {
  const channels = x.type.shape[1] ?? 0;
  const perChannel = (value: Value) => expand(builder, reshape(builder, value, [1]), [channels]);
  const minusOne = builder.scalar(-1);
  if (!isPositive) {
    const step = { name: "HardSigmoid", parameters: [stepSlope, 1] } as const;
    return blockedAffine(builder, { x, scale: minusOne, offset: perChannel(upper) }, step);
  }
  const offset = perChannel(multiply(builder, upper, -beyond));
  const excess = blockedAffine(builder, { x, scale: builder.scalar(beyond), offset }, { name: "Relu", parameters: [] });
  // excess − x is below 0 exactly where x is above 0 and there is no excess.
  const step = { name: "HardSigmoid", parameters: [-stepSlope, 0] } as const;
  return blockedAffine(builder, { x, scale: minusOne, sum: excess }, step);
}

/** 1 where x lies within limits, else 0. */
export const insideLimitsOperator: OperatorDefinition = {
  op: insideLimitsName,
  domain: subbyteDomain,
  infer(call) {
    const x = requiredInput(call, 0);
    const upper = call.inputs[1];
    if (x.dtype !== "float32") throw typeError(call, "limits are compared in float32 only");
    if (upper !== undefined && elementCount(upper.shape) !== 1)
      throw typeError(call, "the upper limit is not a scalar");
    return [x];
  },
  arrange,
};

/** The operator of this file. */
export const insideLimitsOperators: readonly OperatorDefinition[] = [insideLimitsOperator];
