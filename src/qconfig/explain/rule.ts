/** The type of the rules of `explain`: a rule checks one tensor and returns a remark if something is wrong with it. */
import { quantizerNamed } from "../../quantizers/index.ts";
import type { ChangeRequest, ExplainedSite, Observation, Remark, Severity, TensorExplanation } from "./types.ts";

/** A tensor with everything that rules look at. */
export interface Subject {
  readonly site: ExplainedSite;
  readonly tensor: TensorExplanation;
  readonly observation: Observation | undefined;
  /** Whether only a ReLU reads it, which drops what is below 0. */
  readonly beforeRelu: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** The remark of a rule on one tensor. Equal remarks on several tensors become one. */
export interface RuleRemark {
  readonly code: Remark["code"];
  readonly severity: Severity;
  readonly what: string;
  /** Of several tensors the extremes are kept: the smallest where the name ends in `Min` or `Share`, else the largest. */
  readonly evidence: Readonly<Record<string, number>>;
  readonly change: ChangeRequest | null;
}

/** A check of one aspect of a configuration. */
export type Rule = (subject: Subject) => RuleRemark | undefined;

/** Bits that a number of levels is worth, as text: 3, 5.3. */
export function bitsText(levels: number): string {
  const bits = Math.log2(levels);
  return Number.isInteger(bits) ? String(bits) : bits.toFixed(1);
}

/** 11.8 % and 44 %. */
export function roundedPercent(share: number): string {
  return `${(100 * share).toFixed(share < 0.2 ? 1 : 0)} %`;
}

/** Returns whether the scale of a tensor follows from a range, by torch's conventions. */
export function hasTorchRange({ site }: Subject): boolean {
  return quantizerNamed(site.spec.quantizer).traits.torchRange;
}
