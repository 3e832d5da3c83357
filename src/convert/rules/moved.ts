/** The rule of operators that only move elements: they commute with a quantizer and are done on codes. */

import type { Tensor } from "../../ir/tensor.ts";
import type { FoldRule } from "../../ops/build/fold/data.ts";
import { sampleFirst } from "../assembly/sample-shape.ts";
import type { Symbolic } from "../assembly/symbolic.ts";
import { codeOf } from "../grid.ts";
import { flatPlaces, moveOf } from "./move-places.ts";
import type { RuleContext } from "./rule.ts";
import { asIntegers } from "./tokens/integers.ts";

/**
 * Returns an output of a node as moved codes; undefined where the operator does something else than move elements.
 *
 * @param output Which of the node's outputs.
 */
export function movedValue(context: RuleContext, fold: FoldRule, output: number): Symbolic | undefined {
  const { node, inputs } = context;
  const [x, ...others] = inputs;
  const [data] = node.inputs;
  const constants: (Tensor | undefined)[] = [];
  for (const other of others) {
    if (other !== undefined && other.kind !== "constant") return undefined;
    constants.push(other?.tensor);
  }
  if (x === undefined || x.kind === "constant" || x.kind === "weight" || data === undefined) return undefined;
  const read = x.kind === "tabled" ? (asIntegers(context, x) ?? x) : x;
  const type = node.outputs[output]?.type;
  if (type === undefined) return undefined;
  const shape = sampleFirst(type.shape);
  const move = moveOf(node, fold, constants, output);
  if (move === undefined) return undefined;
  const isKept = shape.join() === x.shape.join() && flatPlaces(move.places).every((place, i) => place === i);
  if (isKept) return read;
  const name = output === 0 ? node.name : `${node.name}/${output}`;
  return {
    kind: "rearranged",
    name,
    shape,
    inputs: [read],
    ...(move.fill === undefined ? {} : { fill: move.fill }),
    make: ([input = 0], made, form) => ({
      op: "MoveCodes",
      name,
      input,
      output: made,
      places: move.places,
      fill: move.fill === undefined ? form.zeroPoint : codeOf(move.fill, form),
    }),
  };
}
