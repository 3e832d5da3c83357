/**
 * Inserts quantizers into a network, as a configuration says: FakeQuantize nodes, and the parameters that they keep.
 */
import { ConfigError } from "../../errors.ts";
import { intsAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Node, Value } from "../../ir/graph.ts";
import { dataInputs, type Network, type Parameter } from "../../ir/network.ts";
import { originOf } from "../../ir/origin.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { mse } from "../../observers/mse.ts";
import { isOperator, type LayerTraits } from "../../ops/definition.ts";
import { transpose, transposeOperator } from "../../ops/families/shape/reshaping.ts";
import type { QuantizationConfig } from "../../qconfig/config.ts";
import { checkOverrides, type OverrideTarget, overridden } from "../../qconfig/overrides.ts";
import { resolveQuantizer, type TensorQuantization } from "../../qconfig/tensor-quantization.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import { type GraphFacts, graphFacts } from "../graph-facts.ts";
import { inputOperator, layerOperatorNames, layersOf, overrideTargetOf } from "../layers.ts";
import { nonNegativeValues } from "../non-negativity.ts";
import { overrideTargets } from "../override-targets.ts";
import { newBuilder, traitsOf } from "../registry.ts";
import {
  type InsertedQuantizer,
  insertQuantizer,
  type QuantizedNetwork,
  type QuantizerSite,
  repeatQuantizer,
  type SiteDescription,
  type SiteId,
  siteOfTensor,
} from "../sites.ts";
import { multipliedActivations, type StoredInput, type StoredInputs, storedInputs } from "../stored-inputs.ts";
import { copyNode, copyNodes, mapped, type ValueMap } from "./copy.ts";
import { TimeSteps } from "./time-steps.ts";
import { requireFloat } from "./without-quantizers.ts";

/**
 * The network with its quantizers. Weight parameters get their initial values here; those of activations that no
 * observer drives need a batch: see initializeActivations.
 *
 * @param options `initialWeights: false` leaves the parameters of weight quantizers at their defaults, for callers that
 *   calibrate them without blocking.
 * @throws ConfigError when the configuration contradicts itself for a tensor, there is nothing to quantize, or the network has
 *   quantizers already.
 *
 * @example
 * const config4 = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
 * console.log(quantize(network, config4).sites.length);
 */
export function quantize(
  network: Network,
  config: QuantizationConfig,
  options: { readonly initialWeights?: boolean } = {},
): QuantizedNetwork {
  requireFloat(network, `network "${network.name}"`);
  const insertion = new Insertion(network, config, options.initialWeights ?? true);
  return insertion.run();
}

/**
 * The range of the least squared error at the start, where a quantizer lets it be chosen. What a time step stores is rounded again at every step,
 * and LSQ's own first scale leaves gates between 0 and 1 a sixteenth of 256 codes.
 */
function withFittedRange(quantization: TensorQuantization): TensorQuantization {
  const { quantizer, observer, options } = quantization;
  if (observer !== undefined || quantizerNamed(quantizer).initialFromRange === undefined) return quantization;
  return { ...quantization, options: { initializer: mse.name, ...options } };
}

/** The state of one run over the graph. */
class Insertion {
  readonly #network: Network;
  readonly #config: QuantizationConfig;
  readonly #initialWeights: boolean;
  readonly #builder: GraphBuilder;
  readonly #map: ValueMap = new Map();
  readonly #sites: QuantizerSite[] = [];
  readonly #added: Parameter[] = [];
  readonly #layers: readonly Node[];
  readonly #nonNegative: ReadonlySet<Value>;
  readonly #facts: GraphFacts;
  readonly #storedInputs: StoredInputs;
  readonly #weights: ReadonlyMap<string, Parameter>;
  readonly #steps: TimeSteps;
  /** The quantizers of what is repeated over time. */
  readonly #repeated = new Map<SiteId, InsertedQuantizer>();
  /** Quantized form of an activation, by old value and the requested quantization. */
  readonly #quantized = new Map<string, Value>();

  constructor(network: Network, config: QuantizationConfig, initialWeights: boolean) {
    this.#network = network;
    this.#config = config;
    this.#initialWeights = initialWeights;
    this.#builder = newBuilder(network.graph.name);
    this.#layers = layersOf(network.graph);
    this.#nonNegative = nonNegativeValues(network.graph);
    this.#facts = graphFacts(network);
    this.#storedInputs = storedInputs(network);
    this.#weights = new Map(network.parameters.map((parameter) => [parameter.name, parameter]));
    this.#steps = new TimeSteps(network.graph, new Set(this.#weights.keys()));
    if (this.#layers.length === 0) {
      throw new ConfigError("the network has no layer to quantize", {
        where: `network "${network.name}"`,
        remedy: `Layers are the operators ${layerOperatorNames().join(", ")}.`,
      });
    }
  }

  run(): QuantizedNetwork {
    const { graph } = this.#network;
    checkOverrides(this.#config.overrides ?? [], overrideTargets(this.#network, this.#config));
    for (const input of graph.inputs) this.#map.set(input, this.#builder.input(input.name, input.type));
    if (this.#config.placement === "everyModule") this.#quantizeDataInputs();
    copyNodes(graph, this.#builder, this.#map, (node, inputs) =>
      this.#config.placement === "fused" ? this.#fused(node, inputs) : this.#everyModule(node, inputs),
    );
    for (const output of graph.outputs) this.#builder.output(output.name, mapped(this.#map, output.value));
    return {
      name: this.#network.name,
      graph: this.#builder.finish(),
      parameters: [...this.#network.parameters, ...this.#added],
      sites: this.#sites,
    };
  }

  #quantizeDataInputs(): void {
    for (const input of dataInputs(this.#network)) {
      const quantization = this.#activationOf(this.#layers[0], { name: input.name, operator: inputOperator });
      if (quantization === null) continue;
      const place = { layer: input.name, tensor: input.name };
      const quantized = this.#builder.from({ origin: originOf("forward", input.name) }, () =>
        this.#activation(input, quantization, place),
      );
      this.#map.set(input, quantized);
    }
  }

  #fused(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] | undefined {
    const { layer } = traitsOf(node);
    const stored = this.#storedInputs(node);
    if (stored.length > 0) return this.#stored(node, inputs, stored);
    if (layer === undefined) return undefined;
    const factors = multipliedActivations(this.#facts, node);
    if (factors.length > 0)
      return this.#stored(node, inputs, factors, this.#activationOf(node, overrideTargetOf(node)));
    const quantization = this.#activationOf(node, overrideTargetOf(node));
    const old = node.inputs[layer.data];
    const quantizedInput =
      old === undefined || quantization === null
        ? inputs[layer.data]
        : this.#activation(old, quantization, { layer: node.name, tensor: `${node.name}.input` }, node);
    const read = inputs.with(layer.data, quantizedInput);
    return copyNode(this.#builder, node, this.#withWeight(node, layer, read));
  }

  #everyModule(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] | undefined {
    const { module, layer } = traitsOf(node);
    if (module !== true) return undefined;
    const read = layer === undefined ? inputs : this.#withWeight(node, layer, inputs);
    const [y, ...rest] = copyNode(this.#builder, node, read);
    const old = node.outputs[0];
    const quantization = this.#activationOf(layer === undefined ? undefined : node, overrideTargetOf(node));
    if (y === undefined || old === undefined || quantization === null) return undefined;
    this.#map.set(old, y);
    return [this.#activation(old, quantization, { layer: node.name, tensor: `${node.name}.output` }, node), ...rest];
  }

  /**
   * What averages, functions of one value, products and residual additions read: an integer machine stores it, and where it is codes every
   * layer before it is requantized by itself.
   */
  #stored(
    node: Node,
    inputs: readonly (Value | undefined)[],
    stored: readonly StoredInput[],
    quantization = this.#storedQuantization(node),
  ): readonly Value[] | undefined {
    if (quantization === null) return undefined;
    const left = [...stored];
    const read = inputs.map((value, index) => {
      const old = node.inputs[index];
      const found = left.findIndex((each) => each.value === old);
      if (value === undefined || old === undefined || found < 0) return value;
      const place = stored.length > 1 ? left.splice(found, 1)[0]?.place : stored[0]?.place;
      return this.#activation(old, quantization, { layer: node.name, tensor: `${node.name}.${place}` }, node);
    });
    return copyNode(this.#builder, node, read);
  }

  /** The quantization of activations that are stored without being a layer's input; null leaves them in float. */
  #storedQuantization(node: Node): TensorQuantization | null {
    const { activation, residualBits } = this.#config;
    if (residualBits === null || activation === null) return null;
    const { quantMin: _low, quantMax: _high, reduceRange: _halved, ...rest } = activation;
    const stored = { ...rest, bits: residualBits };
    const own = node.origin.step === undefined ? stored : withFittedRange(stored);
    return this.#withOverrides(own, activation, overrideTargetOf(node), "activation");
  }

  /** The quantization of a layer's activations, with the first and last layer's own bits, and overrides over these. */
  #activationOf(layer: Node | undefined, target: OverrideTarget): TensorQuantization | null {
    const { activation } = this.#config;
    const base = this.#withLayerBits(activation, layer, "activationBits");
    return this.#withOverrides(base, activation, target, "activation");
  }

  #withOverrides(
    base: TensorQuantization | null,
    fallback: TensorQuantization | null,
    target: OverrideTarget,
    kind: QuantizerSite["kind"],
  ): TensorQuantization | null {
    return overridden(base, fallback, this.#config.overrides ?? [], target, kind);
  }

  #withLayerBits(
    quantization: TensorQuantization | null,
    layer: Node | undefined,
    key: "weightBits" | "activationBits",
  ): TensorQuantization | null {
    if (quantization === null || layer === undefined) return quantization;
    const isFirst = this.#isOf(layer, this.#layers[0]);
    const isLast = this.#isOf(layer, this.#layers.at(-1));
    const rule = isFirst ? this.#config.firstLayer : isLast ? this.#config.lastLayer : "same";
    if (rule === "same") return quantization;
    if (rule === "float") return null;
    const { quantMin: _low, quantMax: _high, ...rest } = quantization;
    return { ...rest, bits: rule[key] };
  }

  /** Whether a node is a layer's, at whatever time step; a recurrent layer has several products with its data. */
  #isOf(node: Node, layer: Node | undefined): boolean {
    if (layer === undefined || node === layer || node.origin.step === undefined) return node === layer;
    const [own, other] = [node, layer].map((each) => {
      const x = each.inputs[traitsOf(each).layer?.data ?? 0];
      return x === undefined ? undefined : this.#steps.sourceOf(each, x);
    });
    return node.name === layer.name || (node.origin.layer === layer.origin.layer && own === other);
  }

  #withWeight(node: Node, traits: LayerTraits, inputs: readonly (Value | undefined)[]): (Value | undefined)[] {
    const weight = this.#transposed(node, traits) ?? this.#weight(node, traits, inputs[traits.weight]);
    return inputs.with(traits.weight, weight);
  }

  /** A weight that another layer uses in another order: it has one quantizer, before it is transposed. */
  #transposed(layer: Node, traits: LayerTraits): Value | undefined {
    const given = layer.inputs[traits.weight];
    const producer = given === undefined ? undefined : this.#facts.producers.get(given);
    const source = producer !== undefined && isOperator(transposeOperator, producer) ? producer.inputs[0] : undefined;
    if (producer === undefined || source === undefined || !this.#weights.has(source.name)) return undefined;
    const order = intsAttribute(
      producer,
      "perm",
      source.type.shape.map((_, axis, { length }) => length - 1 - axis),
    );
    const outputAxis = (node: Node) => order[traits.outputAxis(node)] ?? 0;
    const quantized = this.#weight(layer, { ...traits, outputAxis }, mapped(this.#map, source));
    return quantized === undefined ? undefined : transpose(this.#builder, quantized, order);
  }

  #weight(layer: Node, { outputAxis }: LayerTraits, value: Value | undefined): Value | undefined {
    const parameter = value === undefined ? undefined : this.#weights.get(value.name);
    const { weight } = this.#config;
    const ruled = this.#withLayerBits(weight, layer, "weightBits");
    const quantization = this.#withOverrides(ruled, weight, overrideTargetOf(layer), "weight");
    if (value === undefined || parameter === undefined || quantization === null) return value;
    const tensor = parameter.name;
    const id = siteOfTensor(tensor);
    const existing = this.#quantized.get(id);
    if (existing !== undefined) return existing;
    const oriented = { ...quantization, channelAxis: quantization.channelAxis ?? outputAxis(layer) };
    const spec = resolveQuantizer(oriented, { name: tensor, type: value.type, nonNegative: false });
    const place: SiteDescription = {
      id,
      kind: "weight",
      layer: layer.name,
      tensor,
      parameter: tensor,
      spec,
      asked: oriented,
    };
    const result = this.#insert(place, value, this.#initialWeights ? parameter.value : undefined);
    this.#quantized.set(id, result);
    return result;
  }

  /** @param reader The node that reads or makes the value; absent for the network's data. */
  #activation(
    old: Value,
    asked: TensorQuantization,
    place: Pick<SiteDescription, "layer" | "tensor">,
    reader?: Node,
  ): Value {
    const source = reader === undefined ? old : this.#steps.sourceOf(reader, old);
    const key = `${source.id}|${JSON.stringify(asked)}`;
    const quantized = this.#quantized.get(key) ?? this.#newActivation(source, old, asked, place, reader);
    this.#quantized.set(key, quantized);
    return this.#steps.cutAgain(this.#builder, this.#map, old, source, quantized);
  }

  #newActivation(
    source: Value,
    old: Value,
    asked: TensorQuantization,
    { layer, tensor }: Pick<SiteDescription, "layer" | "tensor">,
    reader: Node | undefined,
  ): Value {
    const value = mapped(this.#map, source);
    const id = siteOfTensor(tensor);
    const repeated = reader?.origin.step === undefined ? undefined : this.#repeated.get(id);
    if (repeated !== undefined) return repeatQuantizer(this.#builder, value, repeated);
    const values = reader === undefined ? [source] : this.#steps.atAllSteps(reader, old);
    const nonNegative = values.every((each) => this.#nonNegative.has(each));
    const spec = resolveQuantizer(asked, { name: tensor, type: value.type, nonNegative, kind: "activation" });
    return this.#insert({ id, kind: "activation", layer, tensor, spec, asked }, value);
  }

  #insert(place: SiteDescription, value: Value, sample?: Tensor): Value {
    const inserted = insertQuantizer(this.#builder, value, place, sample);
    this.#sites.push(inserted.site);
    this.#added.push(...inserted.parameters);
    this.#repeated.set(place.id, inserted);
    return inserted.quantized;
  }
}
