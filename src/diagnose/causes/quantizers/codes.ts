/** Codes that are missing from the requested bits, and codes that are never used (rows 1 and 14). */

import { advisedPresets } from "../../../qconfig/presets.ts";
import { quantizerNamed } from "../../../quantizers/index.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import { findingAt, layerOfSite, learnRanges, type SiteView, sitesOf, worst } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "reduced-range": 1, "sign-wasted": 14, "negative-lost": 14 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input);
  return [...reducedRange(sites), ...signWasted(sites), ...negativeLost(sites)];
}

/** Returns the confidence that a lost bit matters, given the levels that remain. */
function weightOfLevels(levels: number): number {
  if (levels <= 16) return 0.97;
  if (levels <= 32) return 0.8;
  return levels <= 64 ? 0.5 : 0.3;
}

function reducedRange(sites: readonly SiteView[]): Found[] {
  const halved = worst(sites, ({ facts: { levels, bits, rangeOfWholeType }, last }) => {
    const lost = levels <= 2 ** (bits - 1);
    const uncovered = rangeOfWholeType && last.coverage < 0.5;
    return lost || uncovered ? weightOfLevels(Math.min(levels, lost ? levels : last.distinctCodes)) : 0;
  });
  const kinds = new Set(halved.map(({ place }) => place.facts.kind));
  return findingAt(halved, layerOfSite, {
    cause: "reduced-range",
    title: (_, { facts, last }) => {
      const what = kinds.size > 1 ? "tensors" : facts.kind === "weight" ? "weights" : "activations";
      return facts.levels <= 2 ** (facts.bits - 1)
        ? `The ${what} have ${facts.levels} levels, not the ${2 ** facts.bits} of ${facts.bits} bits: reduce_range halves the codes`
        : `The ${what} use ${Math.round(100 * last.coverage)} % of their range: the scale is computed for 8 bits (torch before 1.12)`;
    },
    evidence: ({ facts, last }) => [
      evidence("levels", facts.levels, 2 ** (facts.bits - 1), "below", facts.tensor),
      evidence("distinct codes", last.distinctCodes, 2 ** (facts.bits - 1), "below", facts.tensor),
      evidence("representable / observed maximum", last.coverage, 0.9, "below", facts.tensor),
    ],
    remedy: { title: "use all codes of the requested bits", changes: { "quantization.reduceRange": false } },
  });
}

function signWasted(sites: readonly SiteView[]): Found[] {
  const wasted = worst(sites, ({ facts, first, last }) => {
    // An offset that the training threw away is a consequence: what the configuration wastes is wasted from the start.
    if (!facts.nonNegative || last.min < 0 || Math.min(first.levelsBelowZero, last.levelsBelowZero) < 0.25) return 0;
    // The sign of the format cannot be left out; its levels are few for another reason.
    const chosen = quantizerNamed(facts.quantizer).traits.fixedSign ? 0.5 : 1;
    return chosen * (weightOfLevels(facts.levels) - 0.05);
  });
  return findingAt(wasted, layerOfSite, {
    cause: "sign-wasted",
    title: (layers, { facts }) =>
      facts.quantMin < 0
        ? `The codes below 0 are never used: signed codes after a ReLU in ${layers}`
        : `The levels below 0 are never used: the range after a ReLU begins below 0 in ${layers}`,
    evidence: ({ facts, last }) => [
      evidence("share of levels below 0", last.levelsBelowZero, 0.25, "above", facts.tensor),
      evidence("minimum", last.min, 0, "above", facts.tensor),
      evidence("share of negative values", last.negativeShare, 0.001, "below", facts.tensor),
    ],
    remedy: { ...learnRanges, title: "begin the codes at 0 after a ReLU" },
  });
}

function negativeLost(sites: readonly SiteView[]): Found[] {
  const lost = worst(
    sites.filter(({ facts }) => facts.kind === "activation"),
    ({ first, last }) => 0.75 * ramp(Math.min(first.lostNegativeShare, last.lostNegativeShare), 0.02, 0.15),
  );
  return findingAt(lost, layerOfSite, {
    cause: "negative-lost",
    title: (layers) => `Negative values are cut off by unsigned codes in ${layers}`,
    evidence: ({ facts, last }) => [
      evidence("share of values cut off below 0", last.lostNegativeShare, 0.05, "above", facts.tensor),
      evidence("share of negative values", last.negativeShare, 0.05, "above", facts.tensor),
    ],
    remedy: {
      title: "learn an offset (LSQ+)",
      changes: { "quantization.preset": advisedPresets.learnedOffsets, "quantization.reduceRange": false },
    },
  });
}

/** Codes that the configuration wastes or lacks. */
export const codeCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["reduced-range", "sign-wasted"],
  explains: {
    "reduced-range": ["saturated", "gradient-mismatch"],
    "sign-wasted": ["gradient-mismatch", "capacity"],
    "negative-lost": ["saturated", "gradient-mismatch", "dead-channels"],
  },
  find,
};
