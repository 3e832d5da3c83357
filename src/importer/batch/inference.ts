/** Types whose sizes depend on the batch: the operators' own type rules, for several batches. */

import { inferTypes } from "../../compile/registry.ts";
import { type OperatorCall, showNode } from "../../ir/graph.ts";
import { fitSize, isSymbolic, sampledBatches } from "../../ir/size.ts";
import { BatchDependence } from "../../ops/rewrite/context.ts";
import { type Slot, type SlotType, typeAt, typeOf } from "../../ops/rewrite/slots.ts";
import { tensorAt } from "./computation.ts";

/** A node whose inputs may depend on the batch. */
export interface SymbolicCall extends Omit<OperatorCall, "inputs" | "constants"> {
  readonly inputs: readonly (Slot | undefined)[];
}

/**
 * Returns the types of a node's outputs as they depend on the batch; undefined where none of its inputs does.
 *
 * @throws BatchDependence for a size that is no polynomial of the batch, GraphError where the inputs do not fit for some batch.
 */
export function symbolicTypes({ inputs, ...call }: SymbolicCall): readonly SlotType[] | undefined {
  const depends = inputs.some((slot) => slot?.kind === "batch" || (slot && typeOf(slot).shape.some(isSymbolic)));
  if (!depends) return undefined;
  const samples = sampledBatches.map((batch) =>
    inferTypes({
      ...call,
      inputs: inputs.map((slot) => slot && typeAt(typeOf(slot), batch)),
      constants: inputs.map((slot) =>
        slot === undefined || slot.kind === "value" ? undefined : tensorAt(slot, batch),
      ),
    }),
  );
  return (samples[0] ?? []).map(({ dtype, shape }, output) => {
    const shapes = samples.map((types) => types[output]?.shape);
    const sizes = shape.map((_, axis) => fitSize(shapes.map((each) => each?.[axis] ?? -1)));
    const known = sizes.filter((size) => size !== undefined);
    if (known.length === sizes.length && shapes.every((each) => each?.length === shape.length)) {
      return { dtype, shape: known };
    }
    throw new BatchDependence("the shape of its output depends on the batch in an unsupported way", {
      where: showNode(call),
    });
  });
}
