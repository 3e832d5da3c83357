/**
 * Plugins: operators, quantizers, observers and presets from outside the package. A plugin is plain data; registering it
 * adds its definitions to the registries that every pass asks, so a definition from a plugin and one of subbyte's own are
 * used in the same way.
 */
import { addTogether } from "../base/addition.ts";
import { operatorAddition } from "../compile/registry.ts";
import { PluginError } from "../errors.ts";
import { observerAddition } from "../observers/index.ts";
import type { ObserverDefinition } from "../observers/observer.ts";
import type { OperatorDefinition } from "../ops/definition.ts";
import { type PresetMaker, presetAddition } from "../qconfig/presets.ts";
import type { QuantizerDefinition } from "../quantizers/definition.ts";
import { quantizerAddition } from "../quantizers/index.ts";

/** Definitions that a plugin adds. */
export interface Plugin {
  /** The plugin's name, for errors. */
  readonly name: string;
  /** Kept with the runs that are trained with the plugin. */
  readonly version?: string;
  readonly operators?: readonly OperatorDefinition[];
  readonly quantizers?: readonly QuantizerDefinition[];
  readonly observers?: readonly ObserverDefinition[];
  /** Presets by their names, as `--preset` and `quantization.preset` give them. */
  readonly presets?: Readonly<Record<string, PresetMaker>>;
}

/**
 * Returns the plugin unchanged; it exists for the types.
 *
 * @example
 * const plugin = definePlugin({ name: "mine", presets: { gentle: (bits) => presetNamed("lsq", bits) } });
 * console.log(plugin.name); // mine
 */
export function definePlugin(plugin: Plugin): Plugin {
  return plugin;
}

/**
 * Returns the operator definition unchanged; it exists for the types.
 *
 * @example
 * const double = defineOperator({
 *   op: "Double",
 *   domain: "mine",
 *   infer: ({ inputs: [x] }) => [x ?? { dtype: "float32", shape: [] }],
 *   lower: ({ builder, input }) => [builder.one("Mul", [input(0), builder.scalar(2)])],
 *   gradient: ({ builder, outputGradient }) => [builder.one("Mul", [outputGradient(0), builder.scalar(2)])],
 * });
 * console.log(double.op); // Double
 */
export function defineOperator(definition: OperatorDefinition): OperatorDefinition {
  return definition;
}

/**
 * Returns the quantizer definition unchanged; it exists for the types.
 *
 * @example
 * const lsq = quantizerNamed("lsq");
 * const renamed = defineQuantizer({ ...lsq, name: "my-lsq" });
 * console.log(renamed.name); // my-lsq
 */
export function defineQuantizer(definition: QuantizerDefinition): QuantizerDefinition {
  return definition;
}

/**
 * Adds a plugin's definitions to this process: all of them, or none where a name is taken. Registering the same definitions
 * again changes nothing.
 *
 * @throws PluginError when a name is taken by another definition.
 * @example
 * registerPlugin({ name: "mine", quantizers: [{ ...quantizerNamed("lsq"), name: "my-lsq" }] });
 * console.log(quantizerNamed("my-lsq").name); // my-lsq
 */
export function registerPlugin(plugin: Plugin): void {
  const entries = [
    ...(plugin.operators ?? []).map((entry) => ({
      kind: "operator",
      name: entry.op,
      addition: operatorAddition(entry),
    })),
    ...(plugin.quantizers ?? []).map((entry) => ({
      kind: "quantizer",
      name: entry.name,
      addition: quantizerAddition(entry),
    })),
    ...(plugin.observers ?? []).map((entry) => ({
      kind: "observer",
      name: entry.name,
      addition: observerAddition(entry),
    })),
    ...Object.entries(plugin.presets ?? {}).map(([name, maker]) => ({
      kind: "preset",
      name,
      addition: presetAddition(name, maker),
    })),
  ];
  const clash = addTogether(entries.map(({ addition }) => addition));
  const entry = clash === undefined ? undefined : entries[clash];
  if (entry === undefined) return;
  throw new PluginError(`there is another ${entry.kind} "${entry.name}" already`, {
    where: `plugin "${plugin.name}"`,
    remedy: `Give the plugin's ${entry.kind} another name.`,
  });
}
