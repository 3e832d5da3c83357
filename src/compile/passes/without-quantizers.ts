/** Networks that carry quantizers already, as files of other tools do: refused where new ones would be inserted, or removed. */
import { ConfigError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import { newBuilder } from "../registry.ts";
import { isQuantized, type QuantizedNetwork, type QuantizerSite } from "../sites.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";

/**
 * Returns the same network in float. Weights keep their values: where a file stores codes, the numbers that these represent.
 *
 * @example
 * const float = withoutQuantizers(quantized);
 * console.log(quantize(float, presetNamed("lsq", { weightBits: 2, activationBits: 2 })).sites.length);
 */
export function withoutQuantizers(network: Network): Network {
  if (!isQuantized(network)) return network;
  const { sites, graph, parameters, ...rest } = network;
  const removed = new Set(sites.flatMap((site) => [...Object.values(site.parameters), ...Object.values(site.states)]));
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map();
  for (const input of graph.inputs) if (!removed.has(input.name)) map.set(input, builder.input(input.name, input.type));
  const nodes = graph.nodes.map((node) => (isFakeQuantize(node) ? { ...node, inputs: node.inputs.slice(0, 1) } : node));
  copyNodes({ ...graph, nodes }, builder, map, (node, inputs) => (isFakeQuantize(node) ? inputs : undefined));
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return { ...rest, graph: builder.finish(), parameters: parameters.filter(({ name }) => !removed.has(name)) };
}

/** Counts quantizers by kind and bits, as `4 of weights (8 bits), 5 of activations (8 bits)`. */
export function countQuantizers(network: QuantizedNetwork): string {
  const counts = new Map<string, { readonly site: QuantizerSite; count: number }>();
  for (const site of network.sites) {
    const key = `${site.kind} ${site.spec.bits}`;
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, { site, count: 1 });
    else entry.count++;
  }
  const texts = [...counts.values()]
    .sort((a, b) => b.site.kind.localeCompare(a.site.kind) || a.site.spec.bits - b.site.spec.bits)
    .map(({ site: { kind, spec }, count }) => {
      const things = kind === "weight" ? "weights" : "activations";
      return `${count} of ${things} (${spec.bits} ${spec.bits === 1 ? "bit" : "bits"})`;
    });
  return texts.join(", ");
}

/**
 * Checks that a network has no quantizers yet. Two on one tensor would give the levels of one and report those of the other.
 *
 * @throws ConfigError for a network that has some, with how they are removed.
 */
export function requireFloat(network: Network, where: string): void {
  if (!isQuantized(network) || network.sites.length === 0) return;
  throw new ConfigError(`the model has quantizers already: ${countQuantizers(network)}`, {
    where,
    remedy:
      "Give the float model, or remove these quantizers: --strip-quantizers, model.stripQuantizers: true, in code withoutQuantizers.",
  });
}
