/** The options of quantizers, initializers and observers, so that mistyped or misplaced ones are refused. */

import type { QuantizerOptions } from "../ir/quantizer-spec.ts";

/** A contradiction in a spec, and the line that repairs it. */
export interface Contradiction {
  readonly message: string;
  readonly remedy: string;
}

/** A number's bounds; each end belongs to it. */
export interface NumberRule {
  readonly from?: number;
  readonly to?: number;
  readonly whole?: boolean;
}

/** The type of an option: one of some words, true or false, or a number. */
export type OptionRule = readonly string[] | "boolean" | NumberRule;

/** The options that a definition reads, with their valid values. */
export type OptionRules = Readonly<Record<string, OptionRule>>;

/** The kinds of gradient scaling of a scale, where `gradientFactor` does it. */
export const gradientScales: OptionRule = ["lsq", "torch", "none"];
/** Selects one of the two quantizers of a method. */
export const forms: OptionRule = ["weights", "activations"];

/**
 * The first option that there is not, or whose value it cannot have.
 *
 * @param owner Whose options these are, for the message.
 */
export function optionProblem(owner: string, rules: OptionRules, options: QuantizerOptions): Contradiction | undefined {
  for (const [name, value] of Object.entries(options)) {
    const rule = rules[name];
    if (rule === undefined) {
      const known = Object.keys(rules);
      return {
        message: `${owner} has no option "${name}"`,
        remedy: known.length === 0 ? `Leave ${name} out: it has none.` : `Its options are: ${known.join(", ")}.`,
      };
    }
    const expected = mismatch(rule, value);
    if (expected === undefined) continue;
    return {
      message: `the option ${name} of ${owner} is ${JSON.stringify(value)}`,
      remedy: `Set options.${name} to ${expected}, or leave it out.`,
    };
  }
  return undefined;
}

/** Describes the values that a rule accepts. */
function mismatch(rule: OptionRule, value: number | string | boolean): string | undefined {
  if (rule === "boolean") return typeof value === "boolean" ? undefined : "true or false";
  if (isWords(rule)) {
    const words = rule.map((word) => `"${word}"`);
    return rule.some((word) => word === value) ? undefined : `one of ${words.join(", ")}`;
  }
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, whole = false } = rule;
  const fits = typeof value === "number" && value >= from && value <= to && (!whole || Number.isInteger(value));
  if (fits) return undefined;
  const kind = whole ? "a whole number" : "a number";
  const low = from === Number.NEGATIVE_INFINITY ? "" : ` from ${from}`;
  return `${kind}${low}${to === Number.POSITIVE_INFINITY ? "" : ` up to ${to}`}`;
}

function isWords(rule: readonly string[] | NumberRule): rule is readonly string[] {
  return Array.isArray(rule);
}
