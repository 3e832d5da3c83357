/** The line to change, in the language that a configuration is written in: TypeScript or YAML; for Python see ../torch/voice.ts. */

import type { ChangeRequest, ChangeVoice } from "./types.ts";

/** For a configuration made in code. */
export const libraryVoice: ChangeVoice = ({ kind, key, from, to }) => {
  if (key === "endLayers") {
    const bits = `{ weightBits: ${to}, activationBits: ${to} }`;
    return { from: `firstLayer, lastLayer: "${from}"`, to: `firstLayer, lastLayer: ${bits}` };
  }
  if (key === "codes") return { from: `${kind}: ${codesText(from)}`, to: `${kind}: ${codesText(to)}` };
  const owner = kind === "network" ? "" : key === "initializer" ? `${kind}.options.` : `${kind}.`;
  return { from: `${owner}${key}: ${from}`, to: `${owner}${key}: ${to}` };
};

/** `-8..7` as fields of a quantization. */
function codesText(codes: string): string {
  const [min = "", max = ""] = codes.split("..");
  return `{ quantMin: ${min}, quantMax: ${max} }`;
}

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
    if (key === "codes") {
      const override = `{ layer: "**", ${kind}: ${codesText(to)} }`;
      return { from: `${kind}: ${codesText(from)}`, to: `quantization.overrides: [${override}]` };
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
