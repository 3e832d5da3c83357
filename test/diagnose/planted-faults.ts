/**
 * Training runs made to fail on purpose, one fault each, on small networks: what the diagnosis is measured by.
 * bench/diagnosis/planted.ts runs them all; tests run a few.
 */

import { quantize } from "../../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../../src/compile/sites.ts";
import type { CauseName } from "../../src/diagnose/diagnose.ts";
import { type Network, withParameterValues } from "../../src/ir/network.ts";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { quantizers } from "../../src/quantizers/index.ts";
import type { TrainingRecipe } from "../../src/train/loop/recipe.ts";

/** A run before anything was broken in it. */
export interface Setup {
  /** Float weights to start from: trained. */
  readonly float: Network;
  /** The same network with random weights. */
  readonly fresh: Network;
  /** null trains in float. */
  readonly quantization: QuantizationConfig | null;
  readonly recipe: Partial<TrainingRecipe>;
  /** What is done to the network after its quantizers got their first values. */
  readonly spoil?: (network: QuantizedNetwork) => Network;
}

/** Where faults are planted in a network: names that each of the small networks has. */
export interface Places {
  /** A layer in the middle whose input is an activation after ReLU, and the normalization that this comes from. */
  readonly layer: string;
  readonly norm: string;
  /** A residual addition and the normalization of its branch; absent in plain networks. */
  readonly addition?: string;
  readonly branchNorm?: string;
  readonly first: string;
}

export interface Fault {
  readonly name: string;
  /** What should be found. */
  readonly cause: CauseName;
  /** A layer that the finding must name; absent: it is everywhere. */
  readonly layer?: (places: Places) => string | undefined;
  readonly plant: (setup: Setup, places: Places) => Setup;
  /** Whether the network has to have a residual addition. */
  readonly residual?: true;
}

/** Learned step sizes at 4 bits, first and last layer at 8: what a healthy run looks like. */
export function healthyQuantization(preset = "lsq", bits = 4): QuantizationConfig {
  const edge = { weightBits: 8, activationBits: 8 };
  return {
    ...presetNamed(preset, { weightBits: bits, activationBits: bits }),
    placement: "fused",
    firstLayer: edge,
    lastLayer: edge,
  };
}

function minMax(setup: Setup): Setup & { readonly quantization: QuantizationConfig } {
  return { ...setup, quantization: healthyQuantization("minmax") };
}

/** Scale and shift of batch normalization stay as they are: else training repairs the planted fault within a few steps. */
function withFixedNorms<Kind extends Setup>(setup: Kind): Kind {
  return { ...setup, recipe: { ...setup.recipe, learningRateScale: { weights: 1, normalization: 0, quantizers: 1 } } };
}

function activationsOf(setup: Setup, change: object): Setup {
  const { quantization } = setup;
  if (quantization === null || quantization.activation === null) return setup;
  return { ...setup, quantization: { ...quantization, activation: { ...quantization.activation, ...change } } };
}

/** A network with some parameters changed in place of their values. */
export function withChanged<Kind extends Network>(
  network: Kind,
  change: (name: string, data: Float32Array, shape: readonly number[]) => Float32Array | undefined,
): Kind {
  const values = new Map(
    network.parameters.map(({ name, value }): [string, Tensor] => {
      const changed = change(name, float32Data(value), value.shape);
      return [name, changed === undefined ? value : float32Tensor(value.shape, changed)];
    }),
  );
  return { ...network, parameters: withParameterValues(network, values).parameters };
}

function scaled(data: Float32Array, factor: number, holds: (index: number) => boolean = () => true): Float32Array {
  return data.map((value, i) => (holds(i) ? value * factor : value));
}

/** Channel 1 of what leaves a normalization grows by `factor`, and the next layer takes it back: the same function. */
function withOutlierChannel(network: Network, { norm, layer }: Places, factor: number): Network {
  return withChanged(network, (name, data, shape) => {
    if (name === `${norm}.weight` || name === `${norm}.bias`) return scaled(data, factor, (i) => i === 1);
    if (name !== `${layer}.weight`) return undefined;
    const inner = shape.slice(2).reduce((product, size) => product * size, 1);
    const channels = shape[1] ?? 1;
    return scaled(data, 1 / factor, (i) => Math.floor(i / inner) % channels === 1);
  });
}

/** LSQ without the mask of its straight-through gradient, as in hustzxd/LSQuantization before its fix. */
function registerUnmasked(): string {
  const name = "lsq-unmasked";
  const lsq = quantizers.get("lsq");
  if (lsq !== undefined && quantizers instanceof Map && !quantizers.has(name)) {
    quantizers.set(name, {
      ...lsq,
      name,
      gradient: (context: Parameters<typeof lsq.gradient>[0]) => ({ ...lsq.gradient(context), x: context.dy }),
    });
  }
  return name;
}

/** The running statistics keep almost all of what they were, and they were those of no data at all. */
function withStaleNorms(network: Network): Network {
  const nodes = network.graph.nodes.map((node) =>
    node.op === "BatchNormalization"
      ? { ...node, attributes: { ...node.attributes, momentum: { float: 0.9995 } } }
      : node,
  );
  const slow = { ...network, graph: { ...network.graph, nodes } };
  return withChanged(slow, (name, data) => {
    if (name.endsWith("running_mean")) return data.map(() => 0);
    return name.endsWith("running_var") ? data.map(() => 1) : undefined;
  });
}

export const faults: readonly Fault[] = [
  {
    name: "reduce_range halves the codes",
    cause: "reduced-range",
    plant: (setup) => activationsOf(minMax(setup), { reduceRange: true }),
  },
  {
    name: "outlier channel, min-max",
    cause: "outlier-range",
    layer: ({ layer }) => layer,
    plant: (setup, places) => ({
      ...withFixedNorms(minMax(setup)),
      float: withOutlierChannel(setup.float, places, 24),
    }),
  },
  {
    name: "scale initialised 30 times too large",
    cause: "bad-initial-scale",
    layer: ({ layer }) => layer,
    plant: (setup, { layer }) => ({
      ...setup,
      spoil: (network) =>
        withChanged(network, (name, data) =>
          name === `${layer}.input.quantizer.scale` ? scaled(data, 30) : undefined,
        ),
    }),
  },
  {
    name: "observers frozen before the first epoch",
    cause: "observer-frozen-early",
    plant: (setup) => ({ ...minMax(setup), recipe: { ...setup.recipe, freezeObserversAfterEpoch: 0 } }),
  },
  {
    name: "observers frozen after the first epoch, random weights",
    cause: "observer-frozen-early",
    plant: (setup) => ({
      ...minMax(setup),
      float: setup.fresh,
      recipe: { ...setup.recipe, learningRate: 0.1, freezeObserversAfterEpoch: 1 },
    }),
  },
  {
    name: "straight-through mask missing",
    cause: "mask-missing",
    layer: ({ layer }) => layer,
    plant: (setup, { layer }) => ({
      ...setup,
      quantization:
        setup.quantization === null
          ? null
          : { ...setup.quantization, overrides: [{ layer, activation: { quantizer: registerUnmasked() } }] },
    }),
  },
  {
    name: "learning rate 30 times too high",
    cause: "learning-rate-too-high",
    plant: (setup) => ({
      ...setup,
      recipe: { ...setup.recipe, learningRate: 30 * (setup.recipe.learningRate ?? 0.02) },
    }),
  },
  {
    name: "statistics of batch normalization stale",
    cause: "batch-norm-momentum",
    layer: ({ norm }) => norm,
    plant: (setup) => ({ ...setup, float: withStaleNorms(setup.float) }),
  },
  {
    name: "first layer at 2 bits",
    cause: "edge-layer-bits",
    layer: ({ first }) => first,
    plant: (setup) => ({
      ...setup,
      quantization:
        setup.quantization === null
          ? null
          : { ...setup.quantization, firstLayer: { weightBits: 2, activationBits: 2 } },
    }),
  },
  {
    name: "random instead of float start",
    cause: "random-start",
    plant: (setup) => ({ ...setup, float: setup.fresh }),
  },
  {
    name: "signed codes after ReLU",
    cause: "sign-wasted",
    layer: ({ layer }) => layer,
    plant: (setup) => activationsOf(setup, { signed: true }),
  },
  {
    name: "unfused placement",
    cause: "unfused-placement",
    plant: (setup) => ({
      ...setup,
      quantization: setup.quantization === null ? null : { ...setup.quantization, placement: "everyModule" },
    }),
  },
  {
    name: "residual scale mismatch",
    cause: "residual-mismatch",
    residual: true,
    layer: ({ addition }) => addition,
    plant: (setup, { branchNorm }) => ({
      ...withFixedNorms(setup),
      float: withChanged(setup.float, (name, data) =>
        name === `${branchNorm}.weight` || name === `${branchNorm}.bias` ? scaled(data, 1 / 16) : undefined,
      ),
      quantization: setup.quantization === null ? null : { ...setup.quantization, residualBits: 4 },
    }),
  },
  {
    name: "one scale for weight channels of very different size",
    cause: "channel-disparity",
    layer: ({ layer }) => layer,
    plant: (setup, { layer }) => ({
      ...setup,
      float: withChanged(setup.float, (name, data, [channels = 1]) =>
        name === `${layer}.weight` ? scaled(data, 24, (i) => i < data.length / channels) : undefined,
      ),
      quantization:
        setup.quantization?.weight == null
          ? null
          : { ...setup.quantization, weight: { ...setup.quantization.weight, granularity: "tensor" } },
    }),
  },
  {
    name: "unsigned codes on values with a negative tail",
    cause: "negative-lost",
    layer: ({ first }) => first,
    plant: (setup) => activationsOf(setup, { signed: false }),
  },
];

/** Several at once: the forum thread's own configuration, on a model that was not fused. */
export const threadFault: Fault = {
  name: "the thread's configuration, all of it",
  cause: "reduced-range",
  plant: (setup) => ({ ...setup, quantization: presetNamed("thread", { weightBits: 4, activationBits: 4 }) }),
};

/** The quantized network of a setup; activations get their first values later. */
export function quantizedOf({ float, quantization }: Setup): QuantizedNetwork | undefined {
  return quantization === null ? undefined : quantize(float, quantization);
}
