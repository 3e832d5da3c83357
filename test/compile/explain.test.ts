/** An explanation depends on what operators are, not on whether they are subbyte's own. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { explain } from "../../src/compile/explain.ts";
import { operators } from "../../src/compile/registry.ts";
import type { Node } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { makeModel } from "../../src/models/index.ts";
import { findDefinition, type OperatorDefinition } from "../../src/ops/definition.ts";
import { registerPlugin } from "../../src/plugins/plugin.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";

const domain = "copied";

/** A network in which the operators that are picked are a plugin's, with the same records under a domain of their own. */
function withPluginOperators(network: Network, isPicked: (definition: OperatorDefinition) => boolean): Network {
  const copies = new Map<OperatorDefinition, OperatorDefinition>();
  const nodes = network.graph.nodes.map((node): Node => {
    const definition = findDefinition(operators, node);
    if (definition === undefined || !isPicked(definition)) return node;
    copies.set(definition, { ...definition, domain });
    return { ...node, domain };
  });
  // Those that an earlier network registered stay.
  const fresh = [...copies.values()].filter((copy) => findDefinition(operators, copy) === undefined);
  registerPlugin({ name: "copies", operators: fresh });
  return { ...network, graph: { ...network.graph, nodes } };
}

const bits = { weightBits: 4, activationBits: 4 };
const minmax = presetNamed("minmax", bits);
const signed: QuantizationConfig = {
  ...minmax,
  activation: minmax.activation === null ? null : { ...minmax.activation, signed: true },
};

const models = ["resnet8", "mobilenetv2", "vit", "mlp"].map((name): [string, Network] => [
  name,
  makeModel(name, { sampleShape: [1, 16, 16], classes: 10, width: 4 }, randomStream(0, "weights")),
]);

describe("an explanation of a plugin's operators", () => {
  it.each(models)("ends the paths of %s at a plugin's layers", (_, network) => {
    const copied = withPluginOperators(network, ({ traits }) => traits?.layer !== undefined);
    const config = presetNamed("thread", bits);
    expect(explain(copied, config)).toEqual(explain(network, config));
  });

  it.each(models)("knows the values of %s that a plugin's operators keep from being negative", (_, network) => {
    const copied = withPluginOperators(network, ({ traits }) => traits?.nonNegative === "always");
    expect(explain(copied, signed)).toEqual(explain(network, signed));
  });
});
