/** Configurations known by a name. Each is plain data: print it, copy it, change it. */
import { ConfigError } from "../errors.ts";
import type { QuantizationConfig } from "./config.ts";
import type { TensorQuantization } from "./tensor-quantization.ts";

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
  const learned = { quantizer: "lsq", options: {} } as const;
  return {
    weight: { ...learned, bits: weightBits, signed: true, granularity: "channel" },
    activation: { ...learned, bits: activationBits, signed: "auto", granularity: "tensor" },
    placement: "fused",
    firstLayer: { weightBits: 8, activationBits: 8 },
    lastLayer: { weightBits: 8, activationBits: 8 },
    residualBits: null,
  };
}

export const presets: Readonly<Record<string, (bits: PresetBits) => QuantizationConfig>> = { thread, minmax, lsq };

/** The preset of this name. @throws ConfigError listing the names that exist. */
export function presetNamed(name: string, bits: PresetBits): QuantizationConfig {
  const preset = presets[name];
  if (preset === undefined) {
    throw new ConfigError(`there is no preset "${name}"`, {
      remedy: `Use one of: ${Object.keys(presets).join(", ")}.`,
    });
  }
  return preset(bits);
}
