/** Concatenations whose parts are written where they lie in the whole, so that nothing is copied. */

import { elementCount } from "../../../ir/types.ts";
import {
  type ConcatCodes,
  type IntegerNetwork,
  type IntegerOperation,
  inputsOf,
  producerOf,
  tensorById,
} from "../../integer-network.ts";
import { viewOf } from "./views.ts";

/** The place of a tensor in a concatenation. */
export interface PartOfJoin {
  /** The concatenation's output. */
  readonly whole: number;
  /** The place of its first element. */
  readonly start: number;
}

/** Returns the tensors that can be made in a concatenation, each of them a part of one. */
export function partsOfJoins(network: IntegerNetwork): ReadonlyMap<number, PartOfJoin> {
  const found = new Map<number, PartOfJoin>();
  for (const operation of network.operations) {
    if (operation.op !== "ConcatCodes" || !isOutermost(network, operation)) continue;
    const sources = operation.inputs.map((id) => madeAs(network, id));
    const isFree = sources.every((id, i) => id !== undefined && !found.has(id) && sources.indexOf(id) === i);
    if (!isFree) continue;
    let start = 0;
    for (const id of sources) {
      if (id === undefined) continue;
      found.set(id, { whole: operation.output, start });
      start += elementCount(tensorById(network, id).shape);
    }
  }
  return found;
}

function isOutermost(network: IntegerNetwork, { output, axis }: ConcatCodes): boolean {
  return elementCount(tensorById(network, output).shape.slice(0, axis)) === 1;
}

/** The tensor that is made with these elements and no others; undefined for a part of one, for constants and concatenations. */
function madeAs(network: IntegerNetwork, id: number): number | undefined {
  const producer = producerOf(network, id);
  if (producer === undefined || producer.op === "ConstantCodes" || producer.op === "ConcatCodes") return undefined;
  const view = viewOf(network, producer);
  if (view === undefined) return id;
  return producer.op === "ReshapeCodes" ? madeAs(network, view.input) : undefined;
}

/**
 * Returns the network with what only a concatenation reads made as soon as it can be: parts of what is joined, as the outputs of time
 * steps, are then stored in the whole and not kept in another form until the end.
 */
export function withPartsEarly(network: IntegerNetwork): IntegerNetwork {
  const readers = new Map<number, IntegerOperation[]>();
  for (const operation of network.operations) {
    for (const id of inputsOf(operation)) readers.set(id, [...(readers.get(id) ?? []), operation]);
  }
  const outputs = new Set(network.outputs.map(({ tensor }) => tensor));
  const isPart = (operation: IntegerOperation): boolean => {
    const own = readers.get(operation.output) ?? [];
    if (outputs.has(operation.output) || own.length !== 1) return false;
    return own.every((reader) => reader.op === "ConcatCodes" || (reader.op === "ReshapeCodes" && isPart(reader)));
  };
  const early = new Set(
    network.operations
      .filter(({ op }) => op === "Requantize" || op === "ReshapeCodes" || op === "TableCodes")
      .filter(isPart),
  );
  if (early.size === 0) return network;
  const made = new Set<number>();
  const operations: IntegerOperation[] = [];
  const place = (operation: IntegerOperation): void => {
    operations.push(operation);
    made.add(operation.output);
    for (const reader of readers.get(operation.output) ?? []) {
      if (early.has(reader) && !made.has(reader.output) && inputsOf(reader).every((id) => made.has(id))) place(reader);
    }
  };
  for (const operation of network.operations) if (!made.has(operation.output)) place(operation);
  return { ...network, operations };
}
