/** The line to change in a configuration that is written in Python, by the names that torch has. */

import type { ChangeVoice } from "../explain/types.ts";
import type { TorchTextConfig } from "./text.ts";

/**
 * Words changes for Python: torch's own names, with their positions in the text.
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
      case "codes":
        return { from: limitsText(from), to: limitsText(to), ...at("quant_min") };
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

/** `-8..7` as torch's arguments. */
function limitsText(codes: string): string {
  const [min = "", max = ""] = codes.split("..");
  return `quant_min=${min}, quant_max=${max}`;
}
