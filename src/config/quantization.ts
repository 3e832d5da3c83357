/** From the `quantization` part of a training configuration to what the compiler takes. */
import type { LayerBits, QuantizationConfig } from "../qconfig/config.ts";
import { presetNamed } from "../qconfig/presets.ts";
import type { QuantizationConfig as TrainingQuantization } from "./schema.ts";

/** The quantization of a training configuration in full: its preset with what the configuration changes. */
export function quantizationOf(config: TrainingQuantization): QuantizationConfig {
  const preset = presetNamed(config.preset, config);
  return {
    ...preset,
    activation: preset.activation === null ? null : { ...preset.activation, reduceRange: config.reduceRange },
    placement: config.placement,
    residualBits: config.residualBits === "float" ? null : config.residualBits,
    firstLayer: layerRule(config.firstLayerBits),
    lastLayer: layerRule(config.lastLayerBits),
    ...(config.overrides === undefined ? {} : { overrides: config.overrides }),
  };
}

function layerRule(bits: number | "same" | "float"): LayerBits | "same" | "float" {
  return typeof bits === "number" ? { weightBits: bits, activationBits: bits } : bits;
}
