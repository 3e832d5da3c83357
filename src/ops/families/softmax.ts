/** Softmax and its logarithm along one axis, as ONNX defines them from opset 13 on. */

import { intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { axisOf } from "../build/operands.ts";
import { type OperatorDefinition, requiredInput } from "../definition.ts";
import { softmaxUpgrades } from "../rewrite/upgrades.ts";
import { exponential, multiply, subtract } from "./elementwise.ts";
import { reduceSum } from "./reduce.ts";

/** e^x, normalized to sum 1 along an axis. */
export function softmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.one("Softmax", [x], { axis });
}

/** The logarithm of softmax, without its loss of precision. */
export function logSoftmax(b: GraphBuilder, x: Value, axis = -1): Value {
  return b.one("LogSoftmax", [x], { axis });
}

function infer(call: OperatorCall): readonly TensorType[] {
  const input = requiredInput(call, 0);
  axisOf(call, intAttribute(call, "axis", -1), input.shape.length);
  return [input];
}

/** Softmax of the standard, with its gradient. */
export const softmaxOperator: OperatorDefinition = {
  op: "Softmax",
  domain: "",
  upgrades: softmaxUpgrades,
  infer,
  // dx = y·(dy − Σ dy·y)
  gradient: ({ builder: b, node, output, outputGradient }) => {
    const [y, dy] = [output(0), outputGradient(0)];
    const mean = reduceSum(b, multiply(b, dy, y), [intAttribute(node, "axis", -1)]);
    return [multiply(b, y, subtract(b, dy, mean))];
  },
  traits: { readsCodes: true, nonNegative: "always" },
};

/** The operators of this file. */
export const softmaxOperators: readonly OperatorDefinition[] = [
  softmaxOperator,
  {
    op: "LogSoftmax",
    domain: "",
    upgrades: softmaxUpgrades,
    infer,
    // dx = dy − e^y·Σ dy
    gradient: ({ builder: b, node, output, outputGradient }) => {
      const dy = outputGradient(0);
      const total = reduceSum(b, dy, [intAttribute(node, "axis", -1)]);
      return [subtract(b, dy, multiply(b, exponential(b, output(0)), total))];
    },
  },
];
