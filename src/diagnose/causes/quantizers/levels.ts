/** Layers and weights with too few levels in use (rows 18 and 35 to 37). */

import type { Facts } from "../../facts.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import {
  findingAt,
  hasClippedWeights,
  isStored,
  latest,
  layerOfSite,
  meanOf,
  progressOf,
  type SiteView,
  sitesOf,
  usualBits,
  worst,
} from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { capacity: 18, "low-bits-layer": 35, "dead-weights": 36, "saturated-weights": 37 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input);
  const weights = sites.filter(({ facts }) => facts.kind === "weight");
  return [...lowBits(sites, input.facts), ...deadWeights(weights), ...saturatedWeights(weights), ...capacity(input)];
}

/** Applies only late, only at few bits, and only where the same weights do clearly better in float. */
function capacity(input: DiagnosisInput): Found[] {
  const { records, facts, examination } = input;
  const last = records.at(-1);
  const inner = facts.sites.filter(({ edge }) => edge === undefined);
  if (last === undefined || inner.length === 0 || progressOf(input) < 0.75) return [];
  // One layer with few bits is a cause of its own.
  const bits = usualBits(facts, "activation");
  const weightBits = usualBits(facts, "weight");
  const fewest = Math.min(...[bits, weightBits].filter((value) => !Number.isNaN(value)));
  const recent = latest(records, 3);
  const gap = meanOf(recent.map(({ loss }) => loss)) - meanOf(recent.map(({ floatLoss }) => floatLoss));
  const lost = (examination?.test.float.accuracy ?? Number.NaN) - (examination?.test.quantized.accuracy ?? Number.NaN);
  // Two levels are few for any network; with more of them the loss has to show it.
  const few = fewest <= 1 ? 0.85 : fewest <= 2 ? 0.5 : fewest <= 3 ? 0.35 : 0;
  const seen = Math.max(ramp(gap, 0.1, 0.5), ramp(lost, 0.03, 0.12), fewest <= 1 ? 0.8 : 0);
  const wider = fewest + 1;
  return [
    {
      cause: "capacity",
      title: `${fewest} ${fewest === 1 ? "bit gives" : "bits give"} ${2 ** fewest} levels: too few for this network`,
      layers: [],
      evidence: [
        evidence("loss − float loss", gap, 0.3, "above"),
        evidence("accuracy without quantizers − with them", lost, 0.05, "above"),
        evidence("bits", fewest, 2, "below"),
      ],
      confidence: few * seen,
      remedy: {
        title: `use ${wider} bits (${2 ** wider} levels)`,
        changes: {
          ...(weightBits === fewest ? { "quantization.weightBits": wider } : {}),
          ...(bits === fewest ? { "quantization.activationBits": wider } : {}),
        },
      },
    },
  ];
}

function lowBits(all: readonly SiteView[], facts: Facts): Found[] {
  const sites = all.filter((view) => view.facts.edge === undefined && !isStored(view.facts, facts));
  const usual = {
    weight: usualBits(facts, "weight"),
    activation: usualBits(facts, "activation"),
  };
  const low = worst(sites, ({ facts }) => {
    const missing = usual[facts.kind] - facts.bits;
    return facts.bits <= 3 ? 0.92 * ramp(missing, 0.9, 2) * ramp(facts.bits, 4, 2) : 0;
  });
  return findingAt(low, layerOfSite, {
    cause: "low-bits-layer",
    title: (layers, { facts }) =>
      `${layers} ${facts.bits === 1 ? "has 1 bit" : `have ${facts.bits} bits`}, the other layers ${usual[facts.kind]}`,
    evidence: ({ facts, last }) => [
      evidence("bits", facts.bits, usual[facts.kind] - 2, "below", facts.tensor),
      evidence("SQNR, dB", last.sqnr, 12, "below", facts.tensor),
    ],
    remedy: { title: "take the overrides away", changes: { "quantization.overrides": null } },
  });
}

function deadWeights(weights: readonly SiteView[]): Found[] {
  const dead = worst(weights, ({ facts, all }) => {
    const share = meanOf(latestOf(all).map(({ deadShare }) => deadShare));
    return facts.levels <= 2 ? 0 : 0.92 * ramp(share, 0.7, 0.92);
  });
  return findingAt(dead, layerOfSite, {
    cause: "dead-weights",
    title: (layers, { last }) => `${Math.round(100 * last.deadShare)} % of the weights become 0 in ${layers}`,
    evidence: ({ facts, last }) => [
      evidence("share of weights that become 0", last.deadShare, 0.8, "above", facts.tensor),
      evidence("entropy of the codes, bits", last.entropy, 0.8, "below", facts.tensor),
    ],
    remedy: { title: "take the overrides away", changes: { "quantization.overrides": null } },
  });
}

function saturatedWeights(weights: readonly SiteView[]): Found[] {
  const saturated = worst(
    weights.filter(({ facts }) => facts.levels > 2),
    // Weights that the training itself drove out are a consequence, and what it brought back does not matter any more.
    (view) =>
      (hasClippedWeights(view, view.first) ? 0.9 : 0.7) *
      ramp(meanOf(latestOf(view.all).map(({ clippedShare }) => clippedShare)), 0.3, 0.6),
  );
  return findingAt(saturated, layerOfSite, {
    cause: "saturated-weights",
    title: (layers, { last }) =>
      `${Math.round(100 * last.clippedShare)} % of the weights lie outside of the range and get no gradient in ${layers}`,
    evidence: ({ facts, first, last }) => [
      evidence("clipped share", last.clippedShare, 0.4, "above", facts.tensor),
      evidence("clipped share at the start", first.clippedShare, 0.3, "above", facts.tensor),
    ],
    // Another quantizer does not undo it: the weights themselves are too large for the training to move.
    remedy: null,
  });
}

function latestOf(all: SiteView["all"]): SiteView["all"] {
  return all.slice(-3);
}

/** Layers and weights whose levels are not there, or not used. */
export const levelCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["low-bits-layer", "dead-weights", "saturated-weights"],
  explains: {
    capacity: [
      "saturated-weights",
      "dead-channels",
      "gradient-mismatch",
      "scale-collapsed",
      "dead-weights",
      "outlier-range",
      "saturated",
      "bad-initial-scale",
    ],
    "low-bits-layer": [
      "scale-collapsed",
      "saturated-weights",
      "learning-rate-too-low",
      "residual-mismatch",
      "dead-channels",
      "dead-weights",
      "gradient-mismatch",
      "saturated",
      "bad-initial-scale",
      "outlier-range",
      "capacity",
      "activations-or-weights",
    ],
    "dead-weights": ["dead-channels", "gradient-mismatch", "bad-initial-scale", "mask-missing", "capacity"],
    "saturated-weights": [
      "batch-norm-stale",
      "channel-disparity",
      "scale-collapsed",

      "gradient-mismatch",
      "saturated",
      "mask-missing",
      "bad-initial-scale",
      "learning-rate-too-low",
    ],
  },
  find,
};
