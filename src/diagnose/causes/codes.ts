/** Codes that are missing from the requested bits, and codes that are never used (rows 1 and 14). */

import { advisedPresets } from "../../qconfig/presets.ts";
import type { Evidence } from "../../runs/finding.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import { learnRanges, listed, type SiteView, sitesOf, viewedLayers, worst } from "./view.ts";

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
  const [first] = halved;
  if (first === undefined) return [];
  const views = halved.map(({ place }) => place);
  const { facts, last } = first.place;
  const kinds = new Set(views.map((view) => view.facts.kind));
  const what = kinds.size > 1 ? "tensors" : facts.kind === "weight" ? "weights" : "activations";
  const isHalved = facts.levels <= 2 ** (facts.bits - 1);
  return [
    {
      cause: "reduced-range",
      title: isHalved
        ? `The ${what} have ${facts.levels} levels, not the ${2 ** facts.bits} of ${facts.bits} bits: reduce_range halves the codes`
        : `The ${what} use ${Math.round(100 * last.coverage)} % of their range: the scale is computed for 8 bits (torch before 1.12)`,
      layers: viewedLayers(views),
      evidence: views
        .slice(0, 3)
        .flatMap(({ facts, last }) => [
          evidence("levels", facts.levels, 2 ** (facts.bits - 1), "below", facts.tensor),
          evidence("distinct codes", last.distinctCodes, 2 ** (facts.bits - 1), "below", facts.tensor),
          evidence("representable / observed maximum", last.coverage, 0.9, "below", facts.tensor),
        ]),
      confidence: first.score,
      remedy: { title: "use all codes of the requested bits", changes: { "quantization.reduceRange": false } },
    },
  ];
}

function signWasted(sites: readonly SiteView[]): Found[] {
  const wasted = worst(sites, ({ facts, last }) =>
    facts.nonNegative && last.min >= 0 && last.levelsBelowZero >= 0.25 ? weightOfLevels(facts.levels) - 0.05 : 0,
  );
  const [first] = wasted;
  if (first === undefined) return [];
  const views = wasted.map(({ place }) => place);
  return [
    {
      cause: "sign-wasted",
      title: `The codes below 0 are never used: signed codes after a ReLU in ${listed(viewedLayers(views))}`,
      layers: viewedLayers(views),
      evidence: views
        .slice(0, 3)
        .flatMap(({ facts, last }): Evidence[] => [
          evidence("share of levels below 0", last.levelsBelowZero, 0.25, "above", facts.tensor),
          evidence("minimum", last.min, 0, "above", facts.tensor),
          evidence("share of negative values", last.negativeShare, 0.001, "below", facts.tensor),
        ]),
      confidence: first.score,
      remedy: { ...learnRanges, title: "use unsigned codes after ReLU" },
    },
  ];
}

function negativeLost(sites: readonly SiteView[]): Found[] {
  const lost = worst(
    sites.filter(({ facts }) => facts.kind === "activation"),
    ({ last }) => 0.75 * ramp(last.lostNegativeShare, 0.02, 0.15),
  );
  const [first] = lost;
  if (first === undefined) return [];
  const views = lost.map(({ place }) => place);
  return [
    {
      cause: "negative-lost",
      title: `Negative values are cut off by unsigned codes in ${listed(viewedLayers(views))}`,
      layers: viewedLayers(views),
      evidence: views
        .slice(0, 3)
        .flatMap(({ facts, last }): Evidence[] => [
          evidence("share of values cut off below 0", last.lostNegativeShare, 0.05, "above", facts.tensor),
          evidence("share of negative values", last.negativeShare, 0.05, "above", facts.tensor),
        ]),
      confidence: first.score,
      remedy: {
        title: "learn an offset (LSQ+)",
        changes: { "quantization.preset": advisedPresets.learnedOffsets, "quantization.reduceRange": false },
      },
    },
  ];
}

/** Codes that the configuration wastes or lacks. */
export const codeCauses: CauseFamily<keyof typeof rows> = { rows, find };
