/** From a float network and candidate bits to the problem that the solver takes: the increase and cost of every choice. */
import { GraphError, InterruptedError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { Target } from "../../ops/definition.ts";
import type { QuantizationConfig } from "../../qconfig/config.ts";
import { type LayerCost, networkCost } from "../../runs/cost.ts";
import type { Engine } from "../../runtime/engine.ts";
import { type LayerSites, sitesOfLayer, withFixedRanges, withLayerBits } from "./config.ts";
import { type CalibrationData, type FloatSubject, QuantizedSubject, quantizedWeights } from "./sensitivity.ts";
import type { BitOption, MixProblem, WeightOption } from "./solve.ts";

/** Bits that layers may have. */
export interface Candidates {
  readonly weightBits: readonly number[];
  readonly activationBits: readonly number[];
}

/** The networks and the data of a measurement. */
export interface MeasureParts {
  readonly float: Network;
  readonly subject: FloatSubject;
  readonly config: QuantizationConfig;
  /** Names of the layers whose bits are to be chosen. */
  readonly free: readonly string[];
  readonly candidates: Candidates;
  readonly data: CalibrationData;
  readonly engine: Engine;
  readonly target?: Target;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The solver's problem, and what belongs to it without being a choice. */
export interface MeasuredProblem extends MixProblem {
  /** The loss increase of everything that keeps its bits, together. */
  readonly keptIncrease: number;
  readonly keptLayers: readonly LayerCost[];
}

/** Measures every choice alone. The time grows with layers × candidates × calibration samples. */
export async function measureProblem(parts: MeasureParts): Promise<MeasuredProblem> {
  const { free, candidates, engine, target, onProgress, signal } = parts;
  const groups = inputGroups(parts.float, free);
  const weights = new Map<string, WeightOption[]>(free.map((layer) => [layer, []]));
  const activations = groups.map(({ name, layers }) => ({ name, layers, options: [] as BitOption[] }));
  const total = 1 + free.length * candidates.weightBits.length + groups.length * candidates.activationBits.length;
  let done = 0;
  let kept: Kept | undefined;
  let layerCosts: ReadonlyMap<string, LayerCost> = new Map();
  const widths = [...new Set([...candidates.weightBits, ...candidates.activationBits])].sort((a, b) => b - a);
  for (const bits of widths) {
    await withSubject(parts, bits, async (subject, sites) => {
      const measure = async (isOn: (site: string) => boolean) => {
        stopIfAsked(signal);
        const increase = await subject.measure(isOn);
        onProgress?.(++done, total);
        return increase;
      };
      layerCosts = new Map(networkCost(subject.network).layers.map((layer) => [layer.name, layer]));
      if (kept === undefined) {
        const chosen = new Set([...sites.values()].flatMap(({ weight, activation }) => [weight, activation]));
        kept = { increase: await measure((site) => !chosen.has(site)), layers: keptOf(layerCosts, free) };
      }
      const values = candidates.weightBits.includes(bits)
        ? await quantizedWeights(subject.network, engine, target)
        : null;
      for (const layer of values === null ? [] : free) {
        const cost = costNamed(layerCosts, layer);
        const parameter = sites.get(layer)?.parameter;
        const value = parameter === undefined ? undefined : values?.get(parameter);
        if (parameter === undefined || value === undefined)
          throw new GraphError("its quantized weight is not known", { where: `layer "${layer}"` });
        stopIfAsked(signal);
        const increase = await parts.subject.measure(parameter, value);
        onProgress?.(++done, total);
        weights.get(layer)?.push({ bits, codeBits: cost.weight.bits, increase, bytes: cost.bytes });
      }
      for (const { layers, options } of candidates.activationBits.includes(bits) ? activations : []) {
        const own = new Set(layers.map((layer) => sites.get(layer)?.activation));
        const codeBits = Math.max(...layers.map((layer) => costNamed(layerCosts, layer).activation.bits));
        options.push({ bits, codeBits, increase: await measure((site) => own.has(site)) });
      }
    });
  }
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

/** @throws InterruptedError when the signal asks to stop; there is no partial result to resume from. */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InterruptedError("the measurement was stopped");
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

/** Runs a job on the network with one number of bits in all free layers. */
async function withSubject(
  { float, config, free, candidates, data, subject: { reference }, engine, target }: MeasureParts,
  bits: number,
  job: (subject: QuantizedSubject, sites: ReadonlyMap<string, LayerSites>) => Promise<void>,
): Promise<void> {
  const among = (list: readonly number[]) => (list.includes(bits) ? bits : (list[0] ?? bits));
  const own = { weightBits: among(candidates.weightBits), activationBits: among(candidates.activationBits) };
  const asked = withLayerBits(withFixedRanges(config), new Map(free.map((layer) => [layer, own])));
  const subject = await QuantizedSubject.create(float, asked, { data, reference }, engine, target);
  try {
    await job(subject, new Map(free.map((layer) => [layer, sitesOfLayer(subject.network, layer)])));
  } finally {
    await subject.release();
  }
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
