/** What values follow from: the data, numbers of whatever kind, parameters. */

import { type Node, producers, type Value } from "../ir/graph.ts";
import { dataInputs, type Network } from "../ir/network.ts";
import type { Tensor } from "../ir/tensor.ts";

/** What is known of the values of a network's graph. */
export interface GraphFacts {
  readonly producers: ReadonlyMap<Value, Node>;
  readonly constants: ReadonlyMap<Value, Tensor>;
  /** The values that differ from sample to sample. */
  readonly fromData: ReadonlySet<Value>;
  /** The values that follow from a parameter or from data in float; integers alone decide the others. */
  readonly fromFloats: ReadonlySet<Value>;
}

/** Returns the facts of a network. */
export function graphFacts(network: Network): GraphFacts {
  const { graph } = network;
  const data = new Set<Value>(dataInputs(network));
  const fromData = new Set<Value>(data);
  const fromFloats = new Set<Value>(
    graph.inputs.filter((input) => !data.has(input) || input.type.dtype.startsWith("float")),
  );
  for (const { inputs, outputs } of graph.nodes) {
    for (const set of [fromData, fromFloats]) {
      const follows = inputs.some((input) => input !== undefined && set.has(input));
      if (follows) for (const output of outputs) if (output.known === undefined) set.add(output);
    }
  }
  return { producers: producers(graph), constants: graph.constants, fromData, fromFloats };
}
