/** Cast: to another element type. */

import { intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { DType } from "../../ir/types.ts";
import { dtypeFromOnnx, dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { foldCast, foldCastLike } from "../build/fold/elementwise.ts";
import { symbolicCast } from "../build/fold/symbolic.ts";
import { isFloat } from "../build/operands.ts";
import { type GradientContext, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { sameElementType } from "../rewrite/simplify.ts";
import { castLikeUpgrades } from "../rewrite/upgrades.ts";

/** The value in another element type; the value itself when it has that type. */
export function cast(b: GraphBuilder, x: Value, dtype: DType): Value {
  return x.type.dtype === dtype ? x : b.one("Cast", [x], { to: dtypeToOnnx(dtype) });
}

function gradient({ builder, input, outputGradient, needed }: GradientContext): readonly (Value | undefined)[] {
  const { dtype } = input(0).type;
  // Gradients pass between floats only: an integer output has no gradient, an integer input needs none.
  return [needed[0] && isFloat(dtype) ? cast(builder, outputGradient(0), dtype) : undefined];
}

/** Conversion to another element type. */
export const castOperator: OperatorDefinition = {
  op: "Cast",
  domain: "",
  infer(call) {
    const dtype = dtypeFromOnnx(intAttribute(call, "to"));
    if (dtype === undefined) throw typeError(call, `there is no element type ${intAttribute(call, "to")}`);
    return [{ dtype, shape: requiredInput(call, 0).shape }];
  },
  fold: foldCast,
  symbolic: symbolicCast,
  simplify: sameElementType,
  blocked: "pointwise",
  gradient,
};

/** The operators of this file. */
export const castOperators: readonly OperatorDefinition[] = [
  castOperator,
  {
    op: "CastLike",
    domain: "",
    upgrades: castLikeUpgrades,
    infer: (call) => [{ dtype: requiredInput(call, 1).dtype, shape: requiredInput(call, 0).shape }],
    fold: foldCastLike,
    gradient,
  },
];
