/** The sites that overrides of a quantization can name. */

import type { Node } from "../ir/graph.ts";
import { dataInputs, type Network } from "../ir/network.ts";
import { isOperator } from "../ops/definition.ts";
import { addOperator } from "../ops/families/elementwise.ts";
import type { QuantizationConfig } from "../qconfig/config.ts";
import type { OverrideTarget } from "../qconfig/overrides.ts";
import { inputOperator, layersOf, overrideTargetOf, withoutRepeats } from "./layers.ts";
import { traitsOf } from "./registry.ts";
import { storedInputs } from "./stored-inputs.ts";

/**
 * Returns the sites that overrides can name: those that a configuration's placement quantizes.
 *
 * @example
 * console.log(overrideTargets(network, { placement: "fused", residualBits: null }).map(({ name }) => name));
 */
export function overrideTargets(
  network: Network,
  { placement, residualBits }: Pick<QuantizationConfig, "placement" | "residualBits">,
): OverrideTarget[] {
  const { nodes } = network.graph;
  if (placement === "everyModule") {
    const inputs = dataInputs(network).map(({ name }) => ({ name, operator: inputOperator }));
    const modules = nodes.filter((node) => traitsOf(node).module === true);
    return [...inputs, ...withoutRepeats(modules).map(overrideTargetOf)];
  }
  const storedOf = storedInputs(network);
  const isStored = (node: Node) => isOperator(addOperator, node) || storedOf(node).length > 0;
  const added = residualBits === null ? [] : nodes.filter(isStored);
  return [...layersOf(network.graph), ...withoutRepeats(added)].map(overrideTargetOf);
}
