/** Quantization configurations with bits of their own for each layer. */
import { isLayer, layersOf } from "../../compile/layers.ts";
import type { QuantizedNetwork, SiteId } from "../../compile/sites.ts";
import { ConfigError } from "../../errors.ts";
import type { Network, ParameterId } from "../../ir/network.ts";
import { observers } from "../../observers/index.ts";
import { mse } from "../../observers/mse.ts";
import { fullRange } from "../../observers/percentile.ts";
import type { LayerOverride, QuantizationConfig } from "../../qconfig/config.ts";
import { matchesGlob } from "../../qconfig/glob.ts";
import { quantizerNamed } from "../../quantizers/index.ts";

/** Bits of one layer, by its name. */
export type LayerBitsByName = ReadonlyMap<string, { readonly weightBits: number; readonly activationBits: number }>;

/** Layers whose bits `mix` does not choose. */
export interface KeepOptions {
  /** Names or globs of layers whose bits stay as the configuration has them. */
  readonly keep: readonly string[];
  /** Whether the first and the last layer get bits like all others, instead of keeping those of their rules. */
  readonly firstAndLast: boolean;
}

/**
 * The names of the layers whose bits can be chosen: those with a weight of their own, without the first and the last
 * and those to keep.
 *
 * @throws ConfigError when a name matches nothing, or none is left.
 */
export function freeLayers(network: Network, { keep, firstAndLast }: KeepOptions): string[] {
  const layers = layersOf(network.graph);
  const stray = keep.find((glob) => !layers.some(({ name }) => matchesGlob(glob, name)));
  if (stray !== undefined) {
    const names = layers.map(({ name }) => name);
    throw new ConfigError(`no layer is called ${stray}`, { remedy: `The layers are: ${names.join(", ")}.` });
  }
  const parameters = new Set(network.parameters.map(({ name }) => name));
  const weightOf = (node: (typeof layers)[number]) => node.inputs[1]?.name;
  const readers = (name: string) => layers.filter((node) => weightOf(node) === name).length;
  const free = layers.filter((node, index) => {
    const weight = weightOf(node);
    // Layers that share a weight share its quantizer, so none of them can choose alone.
    if (weight === undefined || !parameters.has(weight) || readers(weight) > 1) return false;
    if (!firstAndLast && (index === 0 || index === layers.length - 1)) return false;
    return !keep.some((glob) => matchesGlob(glob, node.name));
  });
  if (free.length > 0) return free.map(({ name }) => name);
  throw new ConfigError("there is no layer whose bits could be chosen", {
    where: `network "${network.name}"`,
    remedy: "Keep fewer layers, or let the first and the last layer choose too.",
  });
}

/** A configuration in which these layers have these bits. They go over the overrides that it has. */
export function withLayerBits<Config extends { readonly overrides?: readonly LayerOverride[] }>(
  config: Config,
  bits: LayerBitsByName,
) {
  const own = [...bits].map(([layer, { weightBits, activationBits }]) => ({
    layer,
    weight: { bits: weightBits },
    activation: { bits: activationBits },
  }));
  return { ...config, overrides: [...(config.overrides ?? []), ...own] };
}

/**
 * The same configuration with ranges for a network that is not trained yet, where the quantizer lets a range be chosen:
 * that of the least squared error in the place of a learned one, and the full range in the place of one that follows
 * the smallest and largest value while training.
 */
export function withFixedRanges(config: QuantizationConfig): QuantizationConfig {
  return { ...config, weight: withFixedRange(config.weight), activation: withFixedRange(config.activation) };
}

function withFixedRange(quantization: QuantizationConfig["weight"]): QuantizationConfig["weight"] {
  if (quantization === null || quantizerNamed(quantization.quantizer).initialFromRange === undefined) {
    return quantization;
  }
  const { observer, ...rest } = quantization;
  if (observer === undefined) return { ...rest, options: { ...rest.options, initializer: mse.name, steps: 32 } };
  // The other observers look once and are done with.
  if (!observers.has(observer.observer)) return quantization;
  return { ...rest, options: { ...rest.options, initializer: fullRange.name } };
}

/** The quantizers of a layer's two operands in a quantized network, and the weight. */
export interface LayerSites {
  readonly weight: SiteId;
  readonly activation: SiteId;
  readonly parameter: ParameterId;
}

/** @throws ConfigError for a layer with an operand that is not quantized. */
export function sitesOfLayer(network: QuantizedNetwork, layer: string): LayerSites {
  const node = network.graph.nodes.find((candidate) => candidate.name === layer && isLayer(candidate));
  const siteOf = (index: number) => {
    const value = node?.inputs[index];
    const producer = network.graph.nodes.find(({ outputs }) => value !== undefined && outputs.includes(value));
    return network.sites.find(({ id }) => id === producer?.name);
  };
  const [activation, weight] = [siteOf(0), siteOf(1)];
  if (activation !== undefined && weight?.parameter !== undefined) {
    return { activation: activation.id, weight: weight.id, parameter: weight.parameter };
  }
  throw new ConfigError(`its ${activation === undefined ? "input" : "weight"} is not quantized`, {
    where: `layer "${layer}"`,
    remedy: `Keep it out of the choice (--keep ${layer}), or quantize it.`,
  });
}
