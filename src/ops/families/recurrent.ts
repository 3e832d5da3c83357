/**
 * LSTM, GRU and RNN. Nodes of files are written out over time where that is possible, and train then
 * (ops/rewrite/recurrent.ts). Those that stay nodes are evaluated and exported; training keeps them as they are.
 */

import { UnsupportedError } from "../../errors.ts";
import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import { type Node, type OperatorCall, showNode } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { elementsOfInput, shapeOfInput } from "../build/node-shapes.ts";
import { type GradientRule, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { bias, data, type OperatorInput, weight } from "../inputs.ts";
import { obstacleOverTime } from "../rewrite/recurrent.ts";
import { recurrentUpgrades } from "../rewrite/upgrades.ts";

/** `gates` matrices are stacked in the weights; an LSTM has a cell state besides. */
function recurrentType(gates: number, states: number) {
  return (call: OperatorCall): readonly TensorType[] => {
    const [x, w, r] = [requiredInput(call, 0), requiredInput(call, 1), requiredInput(call, 2)];
    const hidden = intAttribute(call, "hidden_size", r.shape[2] ?? 0);
    const directions = stringAttribute(call, "direction", "forward") === "bidirectional" ? 2 : 1;
    const batchFirst = intAttribute(call, "layout", 0) === 1;
    const [length = 0, batch = 0] = batchFirst ? [x.shape[1], x.shape[0]] : x.shape;
    const wanted = [directions, gates * hidden, x.shape[2] ?? 0];
    if (x.shape.length !== 3 || w.shape.join() !== wanted.join()) {
      throw typeError(call, `x should have three axes and the weight the shape [${wanted}]`);
    }
    if (r.shape.join() !== [directions, gates * hidden, hidden].join()) {
      throw typeError(call, `the recurrent weight should be [${directions},${gates * hidden},${hidden}]`);
    }
    const { dtype } = x;
    const sequence = batchFirst ? [batch, length, directions, hidden] : [length, directions, batch, hidden];
    const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
    const last = new Array<TensorType>(states).fill({ dtype, shape: state });
    return [{ dtype, shape: sequence }, ...last].slice(0, call.outputCount ?? 1);
  };
}

/** The peepholes are an LSTM's. */
const inputs: readonly OperatorInput[] = [
  data("x"),
  weight("w"),
  weight("r"),
  bias("b"),
  data("lengths"),
  data("initial state"),
  data("initial cell"),
  weight("peepholes"),
];

/** Every step of every sequence meets both matrices once. */
function recurrentMacs(node: Node): number {
  const [first = 1, second = 1] = shapeOfInput(node, 0);
  return first * second * (elementsOfInput(node, 1) + elementsOfInput(node, 2));
}

/** A node that is left is one that could not be written out; one that was built in code says how it can be. */
const noGradient: GradientRule = ({ node }) => {
  const length = shapeOfInput(node, 0)[intAttribute(node, "layout", 0)] ?? 1;
  const obstacle = obstacleOverTime({ ...node, length });
  throw new UnsupportedError(
    obstacle === undefined
      ? `${node.op} has a gradient only written out over time, as importOnnx writes it`
      : `${node.op} has no gradient here: ${obstacle}`,
    {
      where: showNode(node),
      remedy:
        "Use a layer with the usual functions, without peepholes, clipping and lengths, or freeze the parameters before it.",
    },
  );
};

const common = {
  domain: "",
  reading: "as others",
  inputs,
  upgrades: recurrentUpgrades,
  gradient: noGradient,
  macs: recurrentMacs,
} as const;

/** The operators of this file. */
export const recurrentOperators: readonly OperatorDefinition[] = [
  { op: "RNN", ...common, infer: recurrentType(1, 1) },
  { op: "GRU", ...common, infer: recurrentType(3, 1) },
  { op: "LSTM", ...common, infer: recurrentType(4, 2) },
];
