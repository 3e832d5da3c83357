/** The places of a network's quantizers: what is known of each, and how one is put into a graph. */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import type { Network, Parameter } from "../ir/network.ts";
import { filled, type Tensor } from "../ir/tensor.ts";
import { showType } from "../ir/types.ts";
import { initialParameters } from "../observers/calibrators.ts";
import { observerNamed } from "../observers/index.ts";
import type { TensorQuantization } from "../qconfig/tensor-quantization.ts";
import type { QuantizerSpec } from "../quantizers/definition.ts";
import { fakeQuantize } from "../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../quantizers/index.ts";

/** A place where a tensor is quantized. */
export interface QuantizerSite {
  /** Also the name of the FakeQuantize node, and the prefix of its parameters: `layer1.0.conv1.weight.quantizer`. */
  readonly name: string;
  readonly kind: "weight" | "activation";
  /** The layers whose inputs it feeds (`fused`), or the node whose output it is (`everyModule`). */
  readonly layer: string;
  readonly spec: QuantizerSpec;
  /** The quantization that was asked for, before it was resolved; absent where the quantizer came with the network. */
  readonly asked?: TensorQuantization;
  /** Names of the network's parameters that the quantizer and its observer keep. */
  readonly parameters: readonly string[];
}

export interface QuantizedNetwork extends Network {
  readonly sites: readonly QuantizerSite[];
}

/** Whether a network carries quantizers. */
export function isQuantized(network: Network): network is QuantizedNetwork {
  return "sites" in network;
}

/** The name of a quantizer's parameter among the network's. */
export function siteParameter(site: string, parameter: string): string {
  return `${site}.${parameter}`;
}

/** The name of an observer's state among the network's parameters. */
export function siteObserverState(site: string, state: string): string {
  return `${site}.observer.${state}`;
}

/** A site before its parameters are known. */
export type QuantizerPlace = Omit<QuantizerSite, "parameters">;

/** A quantizer in a graph, and what has to be kept of it. */
export interface InsertedQuantizer {
  readonly quantized: Value;
  readonly site: QuantizerSite;
  readonly parameters: readonly Parameter[];
}

/**
 * Adds a FakeQuantize node with inputs for its parameters, and an observer's state where it has one.
 *
 * @param sample The values to take the parameters' initial values from; weights have them, activations come later.
 */
export function insertQuantizer(
  builder: GraphBuilder,
  value: Value,
  place: QuantizerPlace,
  sample?: Tensor,
): InsertedQuantizer {
  const { name: site, spec } = place;
  const definition = quantizerNamed(spec.quantizer);
  const initial = sample === undefined || spec.observer !== undefined ? undefined : initialParameters(spec, sample);
  const inputs: Record<string, Value> = {};
  const added: Parameter[] = [];
  const keep = (parameter: Parameter): Value => {
    added.push(parameter);
    const { dtype, shape } = parameter.value;
    return builder.input(parameter.name, { dtype, shape });
  };
  for (const { name, shape, trainable, minimum, initial: start } of definition.parameters(spec, value.type)) {
    inputs[name] = keep({
      name: siteParameter(site, name),
      role: "quantizer",
      trainable,
      value: initial?.get(name) ?? filled(shape, start),
      ...(minimum === undefined ? {} : { minimum }),
    });
  }
  if (spec.observer !== undefined) {
    for (const state of observerNamed(spec.observer.observer).state(spec, value.type)) {
      keep({
        name: siteObserverState(site, state.name),
        role: "observer",
        trainable: false,
        value: state.initial,
      });
    }
  }
  const quantized = fakeQuantize(builder, value, spec, inputs, site);
  return { quantized, site: { ...place, parameters: added.map(({ name }) => name) }, parameters: added };
}

/** One line for each site, for prints and tests: name, codes, type of the tensor. */
export function showSites(network: QuantizedNetwork): string {
  const types = new Map(network.graph.nodes.map((node) => [node.name, node.outputs[0]?.type]));
  return network.sites
    .map(({ name, spec }) => {
      const type = types.get(name);
      const where = spec.channelAxis === undefined ? "per tensor" : `per channel ${spec.channelAxis}`;
      return `${name} ${type === undefined ? "" : showType(type)} ${spec.quantizer} ${spec.quantMin}..${spec.quantMax} ${where}`;
    })
    .join("\n");
}
