/** From a float network and candidate bits to the problem that the solver takes: the increase and cost of every choice. */
import { GraphError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { QuantizationConfig } from "../../qconfig/config.ts";
import { type LayerCost, networkCost } from "../../runs/cost.ts";
import { sitesOfLayer, withFixedRanges, withLayerBits } from "./config.ts";
import type { CalibratedNetworks } from "./ranges.ts";
import { type FloatSubject, QuantizedSubject, type SubjectParts } from "./sensitivity.ts";
import type { BitOption, MixProblem, WeightOption } from "./solve.ts";

/** Bits that layers may have. */
export interface Candidates {
  readonly weightBits: readonly number[];
  readonly activationBits: readonly number[];
}

/** What is measured or searched at present, out of all that a mix needs. */
export interface MixProgress {
  readonly done: number;
  readonly total: number;
  /** `searching ranges at 4 bits, tensor 3 of 40`. */
  readonly doing: string;
}

/** The networks and the data of a measurement. */
export interface MeasureParts extends SubjectParts {
  readonly float: Network;
  readonly networks: CalibratedNetworks;
  readonly subject: FloatSubject;
  readonly config: QuantizationConfig;
  /** Names of the layers whose bits are to be chosen. */
  readonly free: readonly string[];
  readonly candidates: Candidates;
  readonly onProgress?: (progress: MixProgress) => void;
}

/** The solver's problem, and what belongs to it without being a choice. */
export interface MeasuredProblem extends MixProblem {
  /** The loss increase of everything that keeps its bits, together. */
  readonly keptIncrease: number;
  readonly keptLayers: readonly LayerCost[];
}

/** Measures every choice alone. The time grows with layers × candidates × calibration samples. */
export async function measureProblem(parts: MeasureParts): Promise<MeasuredProblem> {
  const { free, candidates, onProgress } = parts;
  const groups = inputGroups(parts.float, free);
  const weights = new Map<string, WeightOption[]>(free.map((layer) => [layer, []]));
  const activations = groups.map(({ name, layers }) => ({ name, layers, options: [] as BitOption[] }));
  const total = 1 + free.length * candidates.weightBits.length + groups.length * candidates.activationBits.length;
  let done = 0;
  const tell = (doing: string) => onProgress?.({ done, total, doing });
  let kept: Kept | undefined;
  let layerCosts: ReadonlyMap<string, LayerCost> = new Map();
  const widths = [...new Set([...candidates.weightBits, ...candidates.activationBits])].sort((a, b) => b - a);
  for (const bits of widths) {
    const asked = configAt(parts, bits);
    const network = await parts.networks.quantized(asked, (site, sites) =>
      tell(`searching ranges at ${bits} bits, tensor ${site + 1} of ${sites}`),
    );
    const sites = new Map(free.map((layer) => [layer, sitesOfLayer(network, layer)]));
    const subject = await QuantizedSubject.create(network, parts.subject.reference, parts);
    try {
      const measured = async (doing: string, measure: () => Promise<number>) => {
        tell(`measuring ${doing}`);
        const increase = await measure();
        done++;
        return increase;
      };
      layerCosts = new Map(networkCost(network).layers.map((layer) => [layer.name, layer]));
      if (kept === undefined) {
        const chosen = new Set([...sites.values()].flatMap(({ weight, activation }) => [weight, activation]));
        const increase = await measured("the layers that keep their bits", () =>
          subject.measure((site) => !chosen.has(site)),
        );
        kept = { increase, layers: keptOf(layerCosts, free) };
      }
      const values = candidates.weightBits.includes(bits) ? await subject.weights() : null;
      for (const [index, layer] of values === null ? [] : free.entries()) {
        const cost = costNamed(layerCosts, layer);
        const parameter = sites.get(layer)?.parameter;
        const value = parameter === undefined ? undefined : values?.get(parameter);
        if (parameter === undefined || value === undefined)
          throw new GraphError("its quantized weight is not known", { where: `layer "${layer}"` });
        const increase = await measured(`${bits}-bit weights, layer ${index + 1} of ${free.length}`, () =>
          parts.subject.measure(parameter, value),
        );
        weights.get(layer)?.push({ bits, codeBits: cost.weight.bits, increase, bytes: cost.bytes });
      }
      const ofWidth = candidates.activationBits.includes(bits) ? activations : [];
      for (const [index, { layers, options }] of ofWidth.entries()) {
        const own = new Set(layers.map((layer) => sites.get(layer)?.activation));
        const codeBits = Math.max(...layers.map((layer) => costNamed(layerCosts, layer).activation.bits));
        const increase = await measured(`${bits}-bit activations, tensor ${index + 1} of ${groups.length}`, () =>
          subject.measure((site) => own.has(site)),
        );
        options.push({ bits, codeBits, increase });
      }
    } finally {
      await subject.release();
    }
  }
  tell("choosing bits");
  return {
    layers: free.map((name) => ({
      name,
      activation: groups.findIndex(({ layers }) => layers.includes(name)),
      macs: costNamed(layerCosts, name).macs,
      weights: costNamed(layerCosts, name).weights,
      options: weights.get(name) ?? [],
    })),
    activations: activations.map(({ name, options }) => ({ name, options })),
    kept: totalsOf(kept?.layers ?? []),
    keptIncrease: kept?.increase ?? 0,
    keptLayers: kept?.layers ?? [],
  };
}

interface Kept {
  readonly increase: number;
  readonly layers: readonly LayerCost[];
}

/** The layers by the activation that they read, in the order of the network. */
function inputGroups(network: Network, free: readonly string[]): { name: string; layers: string[] }[] {
  const groups = new Map<unknown, { name: string; layers: string[] }>();
  for (const node of network.graph.nodes) {
    if (!free.includes(node.name)) continue;
    const group = groups.get(node.inputs[0]) ?? { name: `${node.name}.input`, layers: [] };
    group.layers.push(node.name);
    groups.set(node.inputs[0], group);
  }
  return [...groups.values()];
}

/** The configuration with one number of bits in all free layers, where that is a candidate. */
function configAt({ config, free, candidates }: MeasureParts, bits: number): QuantizationConfig {
  const among = (list: readonly number[]) => (list.includes(bits) ? bits : (list[0] ?? bits));
  const own = { weightBits: among(candidates.weightBits), activationBits: among(candidates.activationBits) };
  return withLayerBits(withFixedRanges(config), new Map(free.map((layer) => [layer, own])));
}

function keptOf(costs: ReadonlyMap<string, LayerCost>, free: readonly string[]): LayerCost[] {
  return [...costs.values()].filter(({ name }) => !free.includes(name));
}

function costNamed(costs: ReadonlyMap<string, LayerCost>, name: string): LayerCost {
  const cost = costs.get(name);
  if (cost === undefined) throw new GraphError("its cost is not known", { where: `layer "${name}"` });
  return cost;
}

function totalsOf(layers: readonly LayerCost[]): MixProblem["kept"] {
  const sum = (pick: (layer: LayerCost) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  return {
    bytes: sum(({ bytes }) => bytes),
    bitOperations: sum(({ bitOperations }) => bitOperations),
    weights: sum(({ weights }) => weights),
    weightBits: sum(({ weights, weight }) => weights * weight.bits),
  };
}
