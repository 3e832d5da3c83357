/** The same network for another batch size: types are inferred again from the data inputs. */
import { GraphError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import { newBuilder } from "../registry.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";

/** @throws GraphError when the network or one of its nodes holds for another batch size only (a Reshape to a fixed one). */
export function bindBatch(network: Network, batchSize: number): Network {
  const { onlyBatch = batchSize } = network;
  if (batchSize !== onlyBatch) {
    throw new GraphError(`the network supports only batches of ${onlyBatch}, not of ${batchSize}`, {
      where: `network "${network.name}"`,
      remedy: "Export it for any batch size, or use the one that it supports.",
    });
  }
  const parameters = new Set(network.parameters.map((parameter) => parameter.name));
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  for (const input of network.graph.inputs) {
    const { dtype, shape } = input.type;
    const bound = parameters.has(input.name) ? shape : [batchSize, ...shape.slice(1)];
    map.set(input, builder.input(input.name, { dtype, shape: bound }));
  }
  copyNodes(network.graph, builder, map);
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  return { ...network, graph: builder.finish() };
}
