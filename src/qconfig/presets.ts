/** Configurations known by a name. Each is plain data: print it, copy it, change it. */
import { type Addition, additionTo } from "../base/addition.ts";
import { ConfigError } from "../errors.ts";
import type { QuantizerOptions } from "../quantizers/definition.ts";
import type { QuantizationConfig } from "./config.ts";
import type { TensorQuantization } from "./tensor-quantization.ts";

/** The requested bits of a preset. */
export interface PresetBits {
  readonly weightBits: number;
  readonly activationBits: number;
}

const movingAverage = { observer: "movingAverageMinMax", options: { averagingConstant: 0.01 } } as const;

function observed(bits: number, extra: Partial<TensorQuantization>): TensorQuantization {
  return {
    quantizer: "uniform",
    bits,
    signed: "auto",
    granularity: "tensor",
    observer: movingAverage,
    options: { scheme: "affine" },
    ...extra,
  };
}

/** Signed weights with one scale per channel. */
function weights(quantizer: string, bits: number, options: QuantizerOptions = {}): TensorQuantization {
  return { quantizer, bits, signed: true, granularity: "channel", options };
}

/** Activations with one scale; unsigned after a ReLU. */
function activations(quantizer: string, bits: number, options: QuantizerOptions = {}): TensorQuantization {
  return { quantizer, bits, signed: "auto", granularity: "tensor", options };
}

/**
 * The forum thread's own configuration, word for word: EMA min-max; activations quint8, per tensor, affine, 0..2^b−1
 * with reduce_range (which halves it); weights qint8, per channel, symmetric; after every module of the unfused model.
 */
function thread({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    weight: observed(weightBits, { signed: true, granularity: "channel", options: { scheme: "symmetric" } }),
    activation: observed(activationBits, { signed: false, reduceRange: true }),
    placement: "everyModule",
    firstLayer: "same",
    lastLayer: "same",
    residualBits: null,
  };
}

/** EMA min-max with all its levels, at layer inputs: what torch's observers give when nothing is lost on the way. */
function minmax({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    ...thread({ weightBits, activationBits }),
    activation: observed(activationBits, { signed: false }),
    placement: "fused",
  };
}

/** Learned step sizes: weights per channel, activations per tensor, first and last layer at 8 bits. */
function lsq({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    weight: weights("lsq", weightBits),
    activation: activations("lsq", activationBits),
    placement: "fused",
    firstLayer: { weightBits: 8, activationBits: 8 },
    lastLayer: { weightBits: 8, activationBits: 8 },
    residualBits: null,
  };
}

/** LSQ with a learned offset for activations; weights start from their standard deviation, activations from their MSE. */
function lsqPlus({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  const base = lsq({ weightBits, activationBits });
  return {
    ...base,
    weight: weights("lsq+", weightBits, { offset: false }),
    activation: activations("lsq+", activationBits, { initializer: "mse" }),
  };
}

/** LSQ's parameters with EWGS's gradient: each element's is scaled by how far it was rounded. */
function ewgs(bits: PresetBits): QuantizationConfig {
  const base = lsq(bits);
  return {
    ...base,
    weight: weights("ewgs", bits.weightBits),
    activation: activations("ewgs", bits.activationBits),
  };
}

/**
 * Scales that are powers of two, with trained thresholds. Weights start from three standard deviations (the paper's
 * 3SD), activations from their MSE; the gradients are scaled as LSQ's, because the paper's own rate is one for Adam.
 */
function tqt(bits: PresetBits): QuantizationConfig {
  const gradientScale = "lsq";
  return {
    ...lsq(bits),
    weight: weights("tqt", bits.weightBits, { initializer: "deviation", gradientScale }),
    activation: activations("tqt", bits.activationBits, { initializer: "mse", gradientScale }),
  };
}

/** DoReFa-Net: tanh-normalised weights, activations clipped to [0, 1]; first and last layer in float, as in the paper. */
function dorefa({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    weight: { ...weights("dorefa", weightBits, { form: "weights" }), granularity: "tensor" },
    activation: activations("dorefa", activationBits, { form: "activations" }),
    placement: "fused",
    firstLayer: "float",
    lastLayer: "float",
    residualBits: null,
  };
}

/** PACT: DoReFa's weights, activations with a trained clipping threshold; first and last layer in float (paper). */
function pact(bits: PresetBits): QuantizationConfig {
  return {
    ...dorefa(bits),
    activation: activations("pact", bits.activationBits, { initializer: "percentile", percentile: 99.9, decay: 5e-4 }),
  };
}

/** Additive powers of two, per tensor as in the official code; first and last layer at 8 bits with uniform levels. */
function apot({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    ...lsq({ weightBits, activationBits }),
    weight: { ...weights("apot", weightBits, { form: "weights" }), granularity: "tensor" },
    activation: activations("apot", activationBits, { form: "activations", initializer: "mse" }),
  };
}

/** N2UQ: learned thresholds between even levels; first and last layer in float, as in the paper. At most 4 bits. */
function n2uq({ weightBits, activationBits }: PresetBits): QuantizationConfig {
  return {
    ...dorefa({ weightBits, activationBits }),
    weight: weights("n2uq", weightBits, { form: "weights" }),
    activation: activations("n2uq", activationBits, { form: "activations" }),
  };
}

/**
 * Binary weights (XNOR-Net's scale, per channel): always 1 bit. Activations are LSQ's at the requested bits, since those
 * of a ReLU have no sign to keep; first and last layer in float, as in the paper.
 */
function binary({ activationBits }: PresetBits): QuantizationConfig {
  const learned = lsq({ weightBits: 1, activationBits });
  return {
    ...learned,
    weight: weights("binary", 1),
    firstLayer: "float",
    lastLayer: "float",
  };
}

/** FP4 E2M1 for both, whatever bits are requested; first and last layer FP8 E4M3. */
function fp4(): QuantizationConfig {
  const format = { quantizer: "minifloat", bits: 4, signed: true, options: {} } as const;
  return {
    weight: { ...format, granularity: "channel" },
    activation: { ...format, granularity: "tensor", observer: movingAverage },
    placement: "fused",
    firstLayer: { weightBits: 8, activationBits: 8 },
    lastLayer: { weightBits: 8, activationBits: 8 },
    residualBits: null,
  };
}

/** The preset of a configuration that names none. */
export const defaultPreset = "lsq";

/** The presets that explanations and remedies advise, by what a run lacks. */
export const advisedPresets = {
  /** Scales that are trained, in the place of observed ranges. */
  learnedRanges: "lsq",
  /** Scales and offsets that are trained, for values that do not start at 0. */
  learnedOffsets: "lsq+",
  /** Levels that lie closer together near 0, for weights with heavy tails. */
  unevenLevels: "apot",
  /** Thresholds that are trained, with a gradient beyond the straight-through one. */
  trainedThresholds: "n2uq",
} as const;

/** Returns a configuration for the requested bits. */
export type PresetMaker = (bits: PresetBits) => QuantizationConfig;

const builtIn = {
  thread,
  minmax,
  lsq,
  "lsq+": lsqPlus,
  pact,
  dorefa,
  tqt,
  ewgs,
  apot,
  n2uq,
  binary,
  fp4,
} satisfies Readonly<Record<string, PresetMaker>>;

/** The name of a preset that comes with subbyte; those of plugins are any other text. */
export type PresetName = keyof typeof builtIn;

/** The presets by name. */
export const presets: Readonly<Record<PresetName, PresetMaker>> = builtIn;

const registered = new Map<string, PresetMaker>(Object.entries(presets));

/** Returns the names of all presets, those of plugins included. */
export function presetNames(): string[] {
  return [...registered.keys()];
}

/** Returns the addition of a preset from outside. `float` is the word for no quantizers, so no preset has that name. */
export function presetAddition(name: string, maker: PresetMaker): Addition {
  return additionTo(registered, name, maker, { isReserved: name === "float" });
}

/**
 * The preset of this name. @throws ConfigError listing the names that exist.
 *
 * @example
 * console.log(presetNamed("lsq", { weightBits: 4, activationBits: 4 }).weight?.quantizer); // lsq
 */
export function presetNamed(name: PresetName | (string & Record<never, never>), bits: PresetBits): QuantizationConfig {
  const preset = registered.get(name);
  if (preset === undefined) {
    throw new ConfigError(`there is no preset "${name}"`, {
      remedy: `Use one of: ${presetNames().join(", ")}.`,
    });
  }
  return preset(bits);
}
