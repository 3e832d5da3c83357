/** From the places of quantizers to the layers that a person knows. */
import type { QuantizerSite } from "../compile/passes/quantize.ts";

/** The layer or module of a site: `layer1.0.conv1` for its weight, its input, and its output. */
export function layerOfSite(site: Pick<QuantizerSite, "layer" | "kind">): string {
  return site.kind === "weight" ? site.layer : site.layer.replace(/\.(input|output|skip)$/, "");
}

/** The tensor of a site: `layer1.0.conv1.input`, `layer1.0.conv1.weight`. */
export function tensorOfSite(site: Pick<QuantizerSite, "name">): string {
  return site.name.replace(/\.quantizer$/, "");
}

/** The layer of a weight: `layer1.0.conv1` for `layer1.0.conv1.weight`. */
export function layerOfWeight(name: string): string {
  return name.replace(/\.weight$/, "");
}
