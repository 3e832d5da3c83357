/** The rule of operators that only move elements: they commute with a quantizer and are done on codes. */

import type { Tensor } from "../../ir/tensor.ts";
import type { FoldRule } from "../../ops/build/fold/data.ts";
import type { TensorForm } from "../integer-network.ts";
import type { Rearranged } from "../symbolic.ts";
import { moveOf } from "./move-places.ts";
import { type RuleContext, symbolicInput, unsupported } from "./rule.ts";

/**
 * Returns an output of a node as moved codes; undefined where the operator does something else than move elements.
 *
 * @param output Which of the node's outputs.
 */
export function movedValue(context: RuleContext, fold: FoldRule, output: number): Rearranged | undefined {
  const { node, inputs } = context;
  const [x, ...others] = inputs;
  const [data] = node.inputs;
  const constants: (Tensor | undefined)[] = [];
  for (const other of others) {
    if (other !== undefined && other.kind !== "constant") return undefined;
    constants.push(other?.tensor);
  }
  if (x === undefined || x.kind === "constant" || x.kind === "weight" || data === undefined) return undefined;
  const shape = node.outputs[output]?.type.shape;
  if (shape === undefined || data.type.shape[0] !== 1 || shape[0] !== 1) return undefined;
  const move = moveOf(node, fold, constants, output);
  if (move === undefined) return undefined;
  const name = output === 0 ? node.name : `${node.name}/${output}`;
  return {
    kind: "rearranged",
    name,
    shape,
    inputs: [symbolicInput(context, 0)],
    ...(move.fill === undefined ? {} : { fill: move.fill }),
    make: ([input = 0], made, form) => ({
      op: "MoveCodes",
      name,
      input,
      output: made,
      places: move.places,
      fill: fillCode(context, move.fill, form),
    }),
  };
}

/** The code of padding: that of 0, which every grid without an offset has. */
function fillCode({ node }: RuleContext, fill: number | undefined, form: TensorForm): number {
  if (fill === undefined) return form.zeroPoint;
  const { zeroPoint, low, high, offset = 0, levels } = form;
  const isCode = zeroPoint >= low && zeroPoint <= high && (levels === undefined || levels.includes(0));
  if (fill !== 0 || offset !== 0 || !isCode) {
    throw unsupported(
      node,
      `its padding of ${fill} is no code of what it pads`,
      "Pad with 0, after a quantizer without an offset.",
    );
  }
  return zeroPoint;
}
