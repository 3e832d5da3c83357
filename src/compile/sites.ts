/** The sites of a network's quantizers: what is known of each, and how one is put into a graph. */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import type { Network, Parameter, ParameterId } from "../ir/network.ts";
import type { LayerId } from "../ir/origin.ts";
import { filled, type Tensor } from "../ir/tensor.ts";
import { showType } from "../ir/types.ts";
import { initialParameters } from "../observers/calibrators.ts";
import { observerNamed } from "../observers/index.ts";
import type { TensorQuantization } from "../qconfig/tensor-quantization.ts";
import type { QuantizerSpec } from "../quantizers/definition.ts";
import { fakeQuantize } from "../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../quantizers/index.ts";

/** The name of the FakeQuantize nodes of a site, one or one for each time step: unique within the network. */
export type SiteId = string;

/** A quantizer site: where a tensor is quantized, what it belongs to, and what is kept of it. */
export interface QuantizerSite {
  readonly id: SiteId;
  /** @deprecated use id */
  readonly name: SiteId;
  readonly kind: "weight" | "activation";
  /** The first layer that reads the quantized tensor (`fused`), or the module whose output it is (`everyModule`). */
  readonly layer: LayerId;
  /** A name for the tensor: `layer1.0.conv1.input`, or that of the weight. */
  readonly tensor: string;
  /** The weight; absent for activations. */
  readonly parameter?: ParameterId;
  readonly spec: QuantizerSpec;
  /** The requested quantization, before it was resolved; absent where the quantizer came with the network. */
  readonly asked?: TensorQuantization;
  /** The network's parameters by the names that the quantizer has for its own. */
  readonly parameters: Readonly<Record<string, ParameterId>>;
  /** The network's parameters by the names that the observer has for its states. */
  readonly states: Readonly<Record<string, ParameterId>>;
}

/** A network with its quantizers. */
export interface QuantizedNetwork extends Network {
  readonly sites: readonly QuantizerSite[];
}

/**
 * Whether a network carries quantizers.
 *
 * @example
 * console.log(isQuantized(network), isQuantized(quantized)); // false true
 */
export function isQuantized(network: Network): network is QuantizedNetwork {
  return "sites" in network;
}

/** The id of a site, which is also what the names of its tensors in checkpoints begin with. */
export function siteOfTensor(tensor: string): SiteId {
  return `${tensor}.quantizer`;
}

/** The name that a parameter of a quantizer gets among the network's; {@link QuantizerSite.parameters} links to it. */
export function siteParameter(site: SiteId, parameter: string): ParameterId {
  return `${site}.${parameter}`;
}

/** The name that a state of an observer gets among the network's parameters; {@link QuantizerSite.states} links to it. */
function siteObserverState(site: SiteId, state: string): ParameterId {
  return `${site}.observer.${state}`;
}

/** The tensor of a parameter of a site's quantizer; undefined where it has no parameter of that name. */
export function siteTensor(
  site: Pick<QuantizerSite, "parameters">,
  parameter: string,
  tensors: { get(name: ParameterId): Tensor | undefined },
): Tensor | undefined {
  const name = site.parameters[parameter];
  return name === undefined ? undefined : tensors.get(name);
}

/** The tensors of all parameters of a site's quantizer, by the quantizer's names. */
export function siteTensors(
  site: Pick<QuantizerSite, "parameters">,
  tensors: { get(name: ParameterId): Tensor | undefined },
): Map<string, Tensor> {
  return new Map(
    Object.keys(site.parameters).flatMap((parameter) => {
      const tensor = siteTensor(site, parameter, tensors);
      return tensor === undefined ? [] : [[parameter, tensor] as const];
    }),
  );
}

/** What a site is made of. */
export type SiteParts = Omit<QuantizerSite, "name">;

/** A site before its parameters are known. */
export type SiteDescription = Omit<SiteParts, "parameters" | "states">;

/** Returns the site of these parts, with the former name of its id. */
export function quantizerSite(parts: SiteParts): QuantizerSite {
  return { ...parts, name: parts.id };
}

/** A quantizer in a graph, and what has to be kept of it. */
export interface InsertedQuantizer {
  readonly quantized: Value;
  /** The inputs of its parameters, by the quantizer's names. */
  readonly inputs: Readonly<Record<string, Value>>;
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
  place: SiteDescription,
  sample?: Tensor,
): InsertedQuantizer {
  const { id, spec } = place;
  const definition = quantizerNamed(spec.quantizer);
  const initial = sample === undefined || spec.observer !== undefined ? undefined : initialParameters(spec, sample);
  const inputs: Record<string, Value> = {};
  const added: Parameter[] = [];
  const parameters: Record<string, ParameterId> = {};
  const states: Record<string, ParameterId> = {};
  const keep = (parameter: Parameter): Value => {
    added.push(parameter);
    const { dtype, shape } = parameter.value;
    return builder.input(parameter.name, { dtype, shape });
  };
  for (const { name, shape, trainable, minimum, initial: start } of definition.parameters(spec, value.type)) {
    const own = siteParameter(id, name);
    parameters[name] = own;
    inputs[name] = keep({
      name: own,
      role: "quantizer",
      trainable,
      value: initial?.get(name) ?? filled(shape, start),
      ...(minimum === undefined ? {} : { minimum }),
    });
  }
  if (spec.observer !== undefined) {
    for (const state of observerNamed(spec.observer.observer).state(spec, value.type)) {
      const own = siteObserverState(id, state.name);
      states[state.name] = own;
      keep({ name: own, role: "observer", trainable: false, value: state.initial });
    }
  }
  const quantized = fakeQuantize(builder, value, spec, inputs, id);
  return { quantized, inputs, site: quantizerSite({ ...place, parameters, states }), parameters: added };
}

/** Adds a node of a quantizer that is in the graph already, as at another time step: both have one site and its parameters. */
export function repeatQuantizer(builder: GraphBuilder, value: Value, { inputs, site }: InsertedQuantizer): Value {
  return fakeQuantize(builder, value, site.spec, inputs, site.id);
}

/**
 * One line for each site, for prints and tests: name, codes, type of the tensor.
 *
 * @example
 * console.log(showSites(quantized)); // one line for each quantizer: name, type, codes
 */
export function showSites(network: QuantizedNetwork): string {
  const types = new Map(network.graph.nodes.map((node) => [node.name, node.outputs[0]?.type]));
  return network.sites
    .map(({ id, spec }) => {
      const type = types.get(id);
      const where = spec.channelAxis === undefined ? "per tensor" : `per channel ${spec.channelAxis}`;
      return `${id} ${type === undefined ? "" : showType(type)} ${spec.quantizer} ${spec.quantMin}..${spec.quantMax} ${where}`;
    })
    .join("\n");
}
