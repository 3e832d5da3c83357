/** The configuration of a network from a script: QConfigs of single modules become overrides of the layers of their names. */
import type { OperatorDefinition } from "../../ops/definition.ts";
import { reluOperator } from "../../ops/families/activations.ts";
import { convOperator, convTransposeOperator } from "../../ops/families/conv.ts";
import { addOperator } from "../../ops/families/elementwise.ts";
import { gemmOperator, matmulOperator } from "../../ops/families/matmul.ts";
import { batchNormalizationOperator } from "../../ops/families/normalization.ts";
import type { LayerOverride, QuantizationConfig } from "../config.ts";
import { matchesGlob } from "../glob.ts";
import type { OverrideTarget } from "../overrides.ts";
import type { ModuleQConfig } from "./choose.ts";
import { type PrepareOptions, quantizationConfigOf, tensorQuantizationOf } from "./convert.ts";
import type { TorchTextConfig } from "./text.ts";
import type { FakeQuantizeForm } from "./torch.ts";

const linear: readonly OperatorDefinition[] = [gemmOperator, matmulOperator];

/** The operators of torch's types of modules and functions. */
const types: ReadonlyMap<string, readonly OperatorDefinition[]> = new Map([
  ...["Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"].map((name) => [name, [convOperator]] as const),
  ...["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"].map((name) => [name, [convTransposeOperator]] as const),
  ...["Linear", "linear"].map((name) => [name, linear] as const),
  ...["ReLU", "relu"].map((name) => [name, [reluOperator]] as const),
  ...["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"].map((name) => [name, [batchNormalizationOperator]] as const),
  ...["add", "FloatFunctional"].map((name) => [name, [addOperator]] as const),
]);

/** A configuration for one network, and what of the script does not apply to it. */
export interface TorchQuantization {
  readonly config: QuantizationConfig;
  readonly notes: readonly string[];
}

/**
 * The configuration that a script stands for on a network.
 *
 * @param targets The layers (with `everyModule` the modules) of the network.
 * @throws ConfigError when a QConfig contradicts itself.
 *
 * @example
 * const parsed = parseTorchConfig({ name: "mine.py", text: torchCode });
 * const { config } = torchQuantization(parsed, [{ name: "fc", operator: "Gemm" }]);
 * console.log(config.placement);
 */
export function torchQuantization(
  parsed: Pick<TorchTextConfig, "qconfig" | "placement" | "modules" | "linearOnly">,
  targets: readonly OverrideTarget[],
  options: PrepareOptions = {},
): TorchQuantization {
  const notes: string[] = [];
  // A module's name goes over its type, as in a QConfigMapping.
  const ordered = [...parsed.modules].sort((a, b) => Number(a.selector === "name") - Number(b.selector === "name"));
  const overrides = [
    ...(parsed.linearOnly ? floatOthers(targets) : []),
    ...ordered.flatMap((module) => {
      const made = overridesOf(module, targets);
      if (made.length === 0) {
        const what = module.selector === "name" ? `no layer is called ${module.text}` : `no layer is a ${module.text}`;
        notes.push(`${what}: the QConfig for it changes nothing here`);
      }
      return made;
    }),
  ];
  const isEmpty = parsed.linearOnly && !targets.some(({ operator }) => linear.some(({ op }) => op === operator));
  if (isEmpty) notes.push("torchao quantizes linear layers only, and there is none here");
  const config = quantizationConfigOf(parsed.qconfig, {
    placement: parsed.placement,
    ...(overrides.length === 0 ? {} : { overrides }),
    ...options,
  });
  return { config, notes };
}

function floatOthers(targets: readonly OverrideTarget[]): LayerOverride[] {
  const others = targets.filter(({ operator }) => !linear.some(({ op }) => op === operator));
  return [...new Set(others.map(({ operator }) => operator))].map((operator) => ({
    operator,
    weight: "float",
    activation: "float",
  }));
}

/** A rule for a module holds for everything in it. */
function overridesOf(module: ModuleQConfig, targets: readonly OverrideTarget[]): LayerOverride[] {
  const selectors: Pick<LayerOverride, "layer" | "operator">[] =
    module.selector === "name"
      ? [module.text, `${module.text}.**`]
          .filter((layer) => targets.some(({ name }) => matchesGlob(layer, name)))
          .map((layer) => ({ layer }))
      : (types.get(module.text) ?? [])
          .filter(({ op }) => targets.some(({ operator }) => operator === op))
          .map(({ op }) => ({ operator: op }));
  const part = (form: FakeQuantizeForm | null | undefined, kind: string) =>
    form === null || form === undefined
      ? ("float" as const)
      : tensorQuantizationOf(form, `QConfig ${kind} of ${module.text}`);
  return selectors.map((selector) => ({
    ...selector,
    isWhole: true,
    weight: part(module.qconfig?.weight, "weight"),
    activation: part(module.qconfig?.activation, "activation"),
  }));
}
