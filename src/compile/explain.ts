/** Explains the effect of a configuration on a network: see qconfig/explain/explain.ts. */
import type { Network } from "../ir/network.ts";
import type { QuantizationConfig } from "../qconfig/config.ts";
import {
  type ExplainedConfig,
  type ExplainedNetwork,
  type ExplainOptions,
  explainSites,
} from "../qconfig/explain/explain.ts";
import type { Explanation } from "../qconfig/explain/types.ts";
import { quantize } from "./passes/quantize.ts";
import { traitsOf } from "./registry.ts";

/**
 * Explains a configuration on a float network: for every tensor what it asks for and what it gets, and the findings.
 *
 * @throws ConfigError when the configuration contradicts itself for a tensor.
 * @example
 * const { activations, findings } = explain(network, presetNamed("thread", { weightBits: 4, activationBits: 4 }));
 * console.log(activations?.levels, findings.length); // 8 levels, not 16
 */
export function explain(network: Network, config: QuantizationConfig, options: ExplainOptions = {}): Explanation {
  return explainQuantized(quantize(network, config), config, options);
}

/**
 * Explains a quantized network.
 *
 * @example
 * console.log(explainQuantized(quantized, { placement: "fused" }).findings);
 */
export function explainQuantized(
  network: ExplainedNetwork,
  config: ExplainedConfig,
  options: ExplainOptions = {},
): Explanation {
  return explainSites(network, config, traitsOf, options);
}
