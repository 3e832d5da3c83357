/** The facts about a run before any measurement: its quantizers, their sites in the network, its recipe. */
import { layersOf, macsOf } from "../compile/layers.ts";
import { isQuantized } from "../compile/sites.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import type { Node, Value } from "../ir/graph.ts";
import { type Network, type ParameterId, parameterCount } from "../ir/network.ts";
import type { LayerId } from "../ir/origin.ts";
import { isOperator } from "../ops/definition.ts";
import { reluOperator } from "../ops/families/activations.ts";
import { batchNormalizationOperator } from "../ops/families/normalization.ts";
import type { TensorExplanation } from "../qconfig/explain/types.ts";
import type { QuantizerSpec } from "../quantizers/definition.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { type RunningStatistics, runningStatisticsOf } from "../train/inputs/running-statistics.ts";
import type { TrainingRecipe } from "../train/loop/recipe.ts";
import { layersOfWeights } from "./layer-names.ts";

/** A quantizer of the network. */
export interface SiteFacts
  extends Pick<TensorExplanation, "kind" | "quantizer" | "levels" | "name" | "nonNegative" | "quantMin" | "quantMax"> {
  /** The tensor: `layer1.0.conv1.input`. */
  readonly tensor: string;
  /** The layer or module it belongs to: `layer1.0.conv1`. */
  readonly layer: string;
  readonly bits: number;
  readonly perChannel: boolean;
  readonly observer: string | undefined;
  /** The share of a new range that a moving average takes over at a step; absent where the observer has none. */
  readonly averagingConstant?: number;
  /** The scale of codes is that of the whole eight-bit type (torch before 1.12). */
  readonly rangeOfWholeType: boolean;
  /** The gradient of its scales is asked for without the factor that the number of values needs. */
  readonly unscaledGradient?: true;
  /** Its parameters are trained. */
  readonly learned: boolean;
  readonly edge: "first" | "last" | undefined;
  /** It stands between a layer and its BatchNormalization or ReLU, where a fused network has none. */
  readonly intermediate: boolean;
}

/** The recipe of the training. Its length and rate are always known; the rest is where the recipe is a whole one. */
export type RecipeFacts = Pick<TrainingRecipe, "epochs" | "learningRate"> & Partial<TrainingRecipe>;

/** The facts about a run from its configuration, before any measurement. */
export interface Facts {
  readonly sites: readonly SiteFacts[];
  /** The layer of each weight, by the weight's name. */
  readonly layersOfWeights: ReadonlyMap<ParameterId, LayerId>;
  /** Share of the inner layers whose outputs sum fewer than {@link fewTerms} products, as depthwise filters do; absent: not known. */
  readonly narrowShare?: number;
  /** Classes of a classification: chance is a loss of ln(classes). Undefined where values are learned. */
  readonly classes: number | undefined;
  /** Elements of the trained parameters; absent: not known. */
  readonly trainedElements?: number;
  /** The batch normalizations, with the share of its running statistics that a step keeps; absent: not known. */
  readonly batchNorms?: readonly RunningStatistics[];
  readonly recipe: RecipeFacts | undefined;
  /** The float run, checkpoint or model's file that the run began with; undefined: random weights, or not known. */
  readonly from: string | undefined;
  /** A float run that a remedy may start from. */
  readonly floatRun: string | undefined;
  /** The settings of the run; undefined: not known, so a remedy may ask for what the run has. */
  readonly settings: TrainingConfig | undefined;
}

/** Returns what a run's first weights came from: a run, a checkpoint or a model's file; undefined: random weights. */
export function sourceOfWeights({ from, model }: Pick<TrainingConfig, "from" | "model">): string | undefined {
  return from ?? ("file" in model ? model.file : undefined);
}

/** Products of an output below which the errors of the codes hardly average out: a depthwise filter of 3×3 has 9. */
const fewTerms = 32;

function narrowShareOf(network: Network): number {
  const inner = layersOf(network.graph).slice(1, -1);
  const narrow = inner.filter((node) => {
    const outputs = node.outputs[0]?.type.shape.reduce((product, size) => product * size, 1) ?? 0;
    return macsOf(node) < fewTerms * outputs;
  });
  return inner.length === 0 ? 0 : narrow.length / inner.length;
}

/** Facts about a run that its network does not contain. */
export interface FactsOptions {
  readonly recipe?: RecipeFacts;
  readonly from?: string;
  readonly floatRun?: string;
  readonly settings?: TrainingConfig;
}

/** The facts of a network in training. */
export function factsOf(network: Network, options: FactsOptions = {}): Facts {
  const sites = isQuantized(network) ? network.sites : [];
  const layers = sites.filter(({ kind }) => kind === "weight").map(({ layer }) => layer);
  const { loss } = options.recipe ?? {};
  const isValues = loss?.name === "meanSquaredError" || (loss?.name === "distillation" && loss.outputs === "values");
  const edges = edgeLayers(network);
  const intermediate = intermediateSites(network);
  return {
    sites: sites.map((site) => {
      const { id, kind, tensor, layer, spec } = site;
      const definition = quantizerNamed(spec.quantizer);
      return {
        name: id,
        kind,
        tensor,
        layer,
        quantizer: spec.quantizer,
        bits: spec.bits,
        quantMin: spec.quantMin,
        quantMax: spec.quantMax,
        levels: definition.levels(spec),
        perChannel: spec.channelAxis !== undefined || spec.groupSize !== undefined,
        nonNegative: spec.nonNegative === true,
        observer: spec.observer?.observer,
        ...averagingConstantOf(spec.observer),
        ...(spec.options.gradientScale === "none" ? { unscaledGradient: true } : {}),
        rangeOfWholeType: spec.options.convention === "pre-1.12",
        learned: definition.parameters(spec, { dtype: "float32", shape: [1, 1, 1, 1] }).some((p) => p.trainable),
        edge: layer === edges.first ? "first" : layer === edges.last && layers.length > 1 ? "last" : undefined,
        intermediate: intermediate.has(id),
      };
    }),
    layersOfWeights: layersOfWeights(network),
    narrowShare: narrowShareOf(network),
    classes: isValues ? undefined : (network.graph.outputs[0]?.value.type.shape.at(-1) ?? 1),
    trainedElements: parameterCount(network),
    batchNorms: runningStatisticsOf(network),
    recipe: options.recipe,
    from: options.from,
    floatRun: options.floatRun ?? options.from,
    settings: options.settings,
  };
}

function averagingConstantOf(observer: QuantizerSpec["observer"]): Pick<SiteFacts, "averagingConstant"> {
  const constant = observer?.options.averagingConstant;
  return typeof constant === "number" ? { averagingConstant: constant } : {};
}

function edgeLayers(network: Network): { readonly first: string | undefined; readonly last: string | undefined } {
  const layers = layersOf(network.graph);
  return { first: layers[0]?.name, last: layers.at(-1)?.name };
}

/** Operators that a fused network folds into the layer before them. */
const fusedIntoLayers = [batchNormalizationOperator, reluOperator];

/** Quantizers that every reader's BatchNormalization or ReLU takes as its input. */
function intermediateSites(network: Network): Set<string> {
  const readers = new Map<Value, Node[]>();
  for (const node of network.graph.nodes) {
    for (const input of node.inputs) {
      if (input !== undefined) readers.set(input, [...(readers.get(input) ?? []), node]);
    }
  }
  const names = network.graph.nodes.filter((node) => {
    const following = node.outputs.flatMap((output) => readers.get(output) ?? []);
    const fused = following.every((next) => fusedIntoLayers.some((definition) => isOperator(definition, next)));
    return isFakeQuantize(node) && following.length > 0 && fused;
  });
  return new Set(names.map(({ name }) => name));
}
