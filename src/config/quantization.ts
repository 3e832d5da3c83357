/** From the `quantization` part of a training configuration to what the compiler takes. */
import { defined } from "../base/defined.ts";
import type { LayerBits, QuantizationConfig } from "../qconfig/config.ts";
import { presetNamed } from "../qconfig/presets.ts";
import type { QuantizationSettings } from "./schema/schema.ts";

/**
 * The quantization of a training configuration in full: its preset with what the configuration changes.
 *
 * @example
 * if (config.quantization !== null) console.log(quantizationOf(config.quantization).weight?.bits); // 4
 */
export function quantizationOf(settings: QuantizationSettings): QuantizationConfig {
  const preset = presetNamed(settings.preset, settings);
  return {
    ...preset,
    activation: preset.activation === null ? null : { ...preset.activation, reduceRange: settings.reduceRange },
    placement: settings.placement,
    residualBits: settings.residualBits === "float" ? null : settings.residualBits,
    firstLayer: layerRule(settings.firstLayerBits),
    lastLayer: layerRule(settings.lastLayerBits),
    ...defined({ overrides: settings.overrides }),
  };
}

function layerRule(bits: number | "same" | "float"): LayerBits | "same" | "float" {
  return typeof bits === "number" ? { weightBits: bits, activationBits: bits } : bits;
}
