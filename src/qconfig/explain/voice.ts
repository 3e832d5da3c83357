/** The line to change, in the language that a configuration is written in: TypeScript, YAML, or the Python of torch. */

import type { TorchTextConfig } from "../torch/text.ts";
import type { ChangeRequest, ChangeVoice } from "./types.ts";

/** For a configuration made in code. */
export const libraryVoice: ChangeVoice = ({ kind, key, from, to }) => {
  if (key === "endLayers") {
    const bits = `{ weightBits: ${to}, activationBits: ${to} }`;
    return { from: `firstLayer, lastLayer: "${from}"`, to: `firstLayer, lastLayer: ${bits}` };
  }
  const owner = kind === "network" ? "" : key === "initializer" ? `${kind}.options.` : `${kind}.`;
  return { from: `${owner}${key}: ${from}`, to: `${owner}${key}: ${to}` };
};

/** Keys of a training configuration for what rules ask for. */
const yamlKeys: Partial<Record<ChangeRequest["key"], string>> = {
  reduceRange: "quantization.reduceRange",
  placement: "quantization.placement",
  quantizer: "quantization.preset",
};

/**
 * For a training configuration: YAML, or the flags and presets that stand for it. `locate` finds a key in its text.
 *
 * @example
 * console.log(typeof trainingVoice("lsq")); // the form in which explain words changes
 */
export function trainingVoice(
  preset: string,
  locate: (key: string) => string | undefined = () => undefined,
): ChangeVoice {
  return ({ kind, key, from, to }) => {
    const name = yamlKeys[key];
    if (key === "endLayers") {
      const keys = ["quantization.firstLayerBits", "quantization.lastLayerBits"];
      return {
        from: keys.map((end) => `${end}: ${from}`).join(", "),
        to: keys.map((end) => `${end}: ${to}`).join(", "),
      };
    }
    if (name === undefined) {
      const field = key === "initializer" ? `options: { initializer: ${to} }` : `${key}: ${to}`;
      const override = `{ layer: "**", ${kind}: { ${field} } }`;
      return kind === "network"
        ? null
        : { from: `${kind}.${key}: ${from}`, to: `quantization.overrides: [${override}]` };
    }
    const where = locate(name);
    const before = key === "quantizer" ? preset : from;
    return { from: `${name}: ${before}`, to: `${name}: ${to}`, ...(where === undefined ? {} : { where }) };
  };
}

/**
 * For Python: torch's own names, at their places in the text.
 *
 * @example
 * const parsed = parseTorchConfig({ name: "mine.py", text: torchCode });
 * console.log(typeof torchVoice(parsed)); // the form in which explain words changes
 */
export function torchVoice({ places }: Pick<TorchTextConfig, "places">): ChangeVoice {
  return (request) => {
    const { kind, key, from, to } = request;
    if (key === "endLayers")
      return { from: "model.qconfig alone", to: `a QConfig of ${to} bits on the first and last module` };
    if (kind === "network") {
      return key === "placement"
        ? { from: "prepare_qat(model)", to: "prepare_qat(fuse_modules_qat(model, [[conv, bn, relu], …]))" }
        : null;
    }
    const at = (name: string) => {
      const where = places[kind].get(name);
      return where === undefined ? {} : { where };
    };
    switch (key) {
      case "reduceRange":
        return { from: "reduce_range=True", to: "reduce_range=False", ...at("reduce_range") };
      case "limits":
        return {
          from: `observer=….with_args(${from})`,
          to: `FusedMovingAvgObsFakeQuantize.with_args(observer=…, ${from})`,
          ...at("quant_max"),
        };
      case "convention":
        return { from: "FusedMovingAvgObsFakeQuantize", to: "FakeQuantize", ...at("observer") };
      case "search":
        return { from: "HistogramObserver", to: "MovingAverageMinMaxObserver", ...at("observer") };
      case "signed":
        return { from: "dtype=torch.qint8", to: "dtype=torch.quint8", ...at("dtype") };
      case "scheme":
        return { from: "qscheme=…_symmetric", to: "qscheme=…_affine", ...at("qscheme") };
      case "quantizer":
        return { from: "torch's FakeQuantize", to: `subbyte train --preset ${to}` };
      default:
        return { from: `${key}=${from}`, to: `${key}=${to}` };
    }
  };
}
