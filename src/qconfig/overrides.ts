/**
 * Overrides of single layers: which they match, and what they make of a tensor's quantization.
 *
 * Every override that matches a layer is applied, in the order in which they are written, field by field, so the later
 * one wins: write the general rule first and the exception after it. They go over the rules for the first and last
 * layer. New `bits` or `signed` drop a range that was given in codes, unless the override gives one itself.
 */

import { didYouMean } from "../base/nearest-word.ts";
import { ConfigError } from "../errors.ts";
import type { LayerOverride, TensorOverride } from "./config.ts";
import { matchesGlob } from "./glob.ts";
import type { TensorQuantization } from "./tensor-quantization.ts";

/** A place that an override may be for: a layer, or with `everyModule` any module. */
export interface OverrideTarget {
  readonly name: string;
  readonly operator: string;
}

/** Whether an override is for this layer. */
export function overrideMatches(override: LayerOverride, target: OverrideTarget): boolean {
  if (override.operator !== undefined && override.operator !== target.operator) return false;
  return override.layer === undefined || matchesGlob(override.layer, target.name);
}

/**
 * The quantization of a layer's tensor after the overrides.
 *
 * @param base What the layer has without overrides; null for float.
 * @param fallback What an override builds on where the layer was float.
 */
export function overridden(
  base: TensorQuantization | null,
  fallback: TensorQuantization | null,
  overrides: readonly LayerOverride[],
  target: OverrideTarget,
  kind: "weight" | "activation",
): TensorQuantization | null {
  let result = base;
  for (const override of overrides) {
    if (!overrideMatches(override, target)) continue;
    const change = changeOf(override, kind);
    if (change === undefined) continue;
    result =
      change === "float" ? null : merged(override.isWhole === true ? null : (result ?? fallback), change, kind, target);
  }
  return result;
}

function changeOf(
  { bits, weight, activation }: LayerOverride,
  kind: "weight" | "activation",
): TensorOverride | undefined {
  const change = kind === "weight" ? weight : activation;
  if (bits === undefined || change === "float") return change;
  return { bits, ...change };
}

function merged(
  base: TensorQuantization | null,
  change: Partial<TensorQuantization>,
  kind: "weight" | "activation",
  target: OverrideTarget,
): TensorQuantization {
  if (base === null) {
    const { quantizer, bits, signed, granularity, options } = change;
    if (quantizer === undefined || bits === undefined || signed === undefined || granularity === undefined) {
      throw new ConfigError(`the override of its ${kind}s builds on nothing: all ${kind}s are in float`, {
        where: `layer "${target.name}"`,
        remedy: "Give quantizer, bits, signed and granularity, or quantize the others too.",
      });
    }
    return { ...change, quantizer, bits, signed, granularity, options: options ?? {} };
  }
  const { quantMin: _low, quantMax: _high, ...open } = base;
  const newRange = change.bits !== undefined || change.signed !== undefined || change.narrowRange !== undefined;
  const start = newRange ? open : base;
  if (change.quantizer === undefined || change.quantizer === base.quantizer) {
    return { ...start, ...change, options: { ...start.options, ...change.options } };
  }
  // Another quantizer has options of its own, and its parameters follow an observer only if the override names one.
  const { observer: _observer, reduceRange: _halved, ...plain } = open;
  return { ...plain, ...change, options: change.options ?? {} };
}

/** @throws ConfigError for an override that names no layer and no operator, or matches nothing, with the nearest name. */
export function checkOverrides(overrides: readonly LayerOverride[], targets: readonly OverrideTarget[]): void {
  overrides.forEach((override, index) => {
    const where = `override ${index + 1}`;
    const { layer, operator } = override;
    if (layer === undefined && operator === undefined) {
      throw new ConfigError("it names neither a layer nor an operator", {
        where,
        remedy: "Give layer (a name, or a glob such as layer1.**) or operator (such as Conv).",
      });
    }
    if (override.bits === undefined && override.weight === undefined && override.activation === undefined) {
      throw new ConfigError("it changes nothing", { where, remedy: "Give bits, weight or activation." });
    }
    if (targets.some((target) => overrideMatches(override, target))) return;
    const operators = [...new Set(targets.map((target) => target.operator))];
    if (operator !== undefined && !operators.includes(operator)) {
      throw new ConfigError(`no layer has the operator ${operator}`, {
        where,
        remedy: didYouMean(operator, operators) ?? `There are: ${operators.join(", ")}.`,
      });
    }
    const names = targets
      .filter((target) => operator === undefined || target.operator === operator)
      .map((target) => target.name);
    const of = operator === undefined ? "" : ` of the operator ${operator}`;
    throw new ConfigError(`no layer${of} is called ${layer}`, {
      where,
      remedy: didYouMean(layer ?? "", names) ?? `The layers are: ${listed(names)}.`,
    });
  });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12);
  return shown.length < names.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ");
}
