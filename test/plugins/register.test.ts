/** A plugin is registered whole or not at all, wherever in it a name is taken. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { operators } from "../../src/compile/registry.ts";
import { PluginError } from "../../src/errors.ts";
import { observerNamed, observers } from "../../src/observers/index.ts";
import { type OperatorDefinition, operatorKey } from "../../src/ops/definition.ts";
import { type Plugin, registerPlugin } from "../../src/plugins/plugin.ts";
import { presetNamed, presetNames } from "../../src/qconfig/presets.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";

const kinds = ["operator", "quantizer", "observer", "preset"] as const;
type Kind = (typeof kinds)[number];

const names = (): string[] => [...operators.keys(), ...quantizers.keys(), ...observers.keys(), ...presetNames()];

function operator(op: string): OperatorDefinition {
  return { op, domain: "", infer: () => [] };
}

/** A plugin of one definition for each pair of a kind and a name. */
function pluginOf(entries: readonly (readonly [kind: Kind, name: string])[]): Plugin {
  const of = (wanted: Kind) => entries.flatMap(([kind, name]) => (kind === wanted ? [name] : []));
  return {
    name: "mine",
    operators: of("operator").map(operator),
    quantizers: of("quantizer").map((name) => ({ ...quantizerNamed("lsq"), name })),
    observers: of("observer").map((name) => ({ ...observerNamed("minMax"), name })),
    presets: Object.fromEntries(of("preset").map((name) => [name, (bits) => presetNamed("lsq", bits)])),
  };
}

/** Names that are taken, by what has them. `float` is no preset, and no preset may be called so. */
const taken: Readonly<Record<Kind, readonly string[]>> = {
  operator: ["Conv", "Relu"],
  quantizer: ["lsq", "uniform"],
  observer: ["minMax"],
  preset: ["thread", "float"],
};

describe("registerPlugin", () => {
  it("adds nothing where one name is taken, whichever it is", () => {
    const fresh = fc.uniqueArray(fc.constantFrom(...kinds), { minLength: 0, maxLength: 4 });
    fc.assert(
      fc.property(fresh, fc.constantFrom(...kinds), fc.nat(), (free, kind, which) => {
        const before = names();
        const name = taken[kind][which % taken[kind].length] ?? "";
        const entries = free.map((other): [Kind, string] => [other, "never added"]);
        expect(() => registerPlugin(pluginOf([...entries, [kind, name]]))).toThrow(PluginError);
        expect(names()).toEqual(before);
      }),
    );
  });

  it("adds nothing where two definitions of the plugin have one name", () => {
    const before = names();
    const lsq = quantizerNamed("lsq");
    const twice = [
      { ...lsq, name: "twice" },
      { ...lsq, name: "twice" },
    ];
    expect(() => registerPlugin({ name: "mine", quantizers: twice })).toThrow('there is another quantizer "twice"');
    expect(names()).toEqual(before);
  });

  it("adds one definition that is listed twice once, and all that are free", () => {
    const before = names();
    const mine = { ...quantizerNamed("lsq"), name: "listed twice" };
    registerPlugin({ ...pluginOf([["operator", "ListedOnce"]]), quantizers: [mine, mine] });
    expect(names().filter((name) => !before.includes(name))).toEqual([operatorKey("", "ListedOnce"), "listed twice"]);
  });
});
