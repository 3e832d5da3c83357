/**
 * The trained network for torch: float weights under torch's names, the integer codes and scales of what is quantized, the
 * configuration as JSON, and a short loader. Everything in one safetensors file, which Python reads with the package of
 * that name.
 */

import { type QuantizedNetwork, siteParameter } from "../../compile/sites.ts";
import { ConfigError } from "../../errors.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import { encodeSafetensors } from "../../runs/safetensors.ts";
import { integerWeight } from "../grid.ts";
import type { IntegerNetwork } from "../integer-network.ts";
import { type FormatDefinition, textFile } from "./definition.ts";

/** The files of a state dict for torch. */
export interface StateDictFiles {
  /** The safetensors file, in parts that lie one after another. */
  readonly tensors: readonly Uint8Array[];
  readonly json: string;
  readonly loader: string;
}

/**
 * `NAME.codes` (int8, less their zero point) and `NAME.scale` next to every quantized weight `NAME`: as its quantizer gives
 * them, also for channels that the conversion made constants, and in the parameter's own layout.
 */
export function buildStateDict(network: QuantizedNetwork, converted: IntegerNetwork): StateDictFiles {
  const tensors = new Map<string, Tensor>();
  for (const { name, value } of network.parameters) tensors.set(name, value);
  const weights: Record<string, unknown> = {};
  const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
  for (const site of network.sites) {
    const parameter = site.parameter === undefined ? undefined : values.get(site.parameter);
    if (parameter === undefined) continue;
    const weight = integerWeight(site, parameter, values);
    const fits = weight.low >= -128 && weight.high <= 127;
    const codes = fits ? Int8Array.from(weight.codes) : weight.codes;
    tensors.set(`${weight.name}.codes`, makeTensor(fits ? "int8" : "int32", weight.shape, codes));
    tensors.set(`${weight.name}.scale`, makeTensor("float32", [weight.scales.length], weight.scales));
    const axis = site.spec.channelAxis ?? 0;
    weights[weight.name] = { low: weight.low, high: weight.high, levels: weight.levels.length, axis };
  }
  const activations = network.sites.flatMap(({ id, kind, tensor, spec }) =>
    kind === "weight" ? [] : [{ name: id, layer: tensor, ...spec, scale: siteParameter(id, "scale") }],
  );
  const description = { schemaVersion: 1, network: converted.name, weights, activations };
  return {
    tensors: encodeSafetensors({ tensors, metadata: { format: "pt", producer: "subbyte" } }),
    json: `${JSON.stringify(description, undefined, 2)}\n`,
    loader,
  };
}

const loader = `"""Loads a state dict written by subbyte: pip install torch safetensors."""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file


def load(folder):
    """The float weights by torch's names, and the weights as their quantizers have rounded them."""
    folder = Path(folder)
    tensors = load_file(folder / "state_dict.safetensors")
    config = json.loads((folder / "quantization.json").read_text())
    state = {name: value for name, value in tensors.items() if not name.endswith((".codes", ".scale"))
             and ".quantizer." not in name}
    quantized = dict(state)
    for name, weight in config["weights"].items():
        codes, scale = tensors[name + ".codes"].float(), tensors[name + ".scale"]
        shape = [1] * codes.dim()
        shape[weight["axis"]] = -1
        quantized[name] = codes * scale.reshape(shape)
    return state, quantized, config


if __name__ == "__main__":
    _, quantized_state, configuration = load(sys.argv[1] if len(sys.argv) > 1 else ".")
    for name, value in quantized_state.items():
        weight = configuration["weights"].get(name)
        print(name, tuple(value.shape), "float" if weight is None else f"{weight['levels']} levels")
    # model.load_state_dict(quantized_state, strict=False)
`;

/** Float weights, codes and scales in safetensors, with a loader for torch. */
export const stateDictFormat: FormatDefinition = {
  name: "state_dict",
  files(network, _options, source) {
    if (source === undefined) {
      throw new ConfigError("a state_dict has the parameters of the network that was converted", {
        where: "format state_dict",
        remedy: 'Pass that network: writeInteger(integers, "state_dict", { source }).',
      });
    }
    const { tensors, json, loader } = buildStateDict(source, network);
    return [
      { name: "state_dict.safetensors", parts: tensors },
      textFile("quantization.json", json),
      textFile("load_state_dict.py", loader),
    ];
  },
};
