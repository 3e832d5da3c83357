/** The placement of quantizers: first and last layer, residual additions, unfused modules; and ablations (rows 12, 16, 19, 20). */

import type { Facts, SiteFacts } from "../../facts.ts";
import { type CauseFamily, type CauseFinding, evidence, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import {
  findingAt,
  latest,
  layerOfSite,
  listed,
  meanOf,
  type SiteView,
  sitesOf,
  usualBits,
  viewedLayers,
  worst,
} from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = {
  "edge-layer-bits": 12,
  "residual-mismatch": 16,
  "activations-or-weights": 19,
  "unfused-placement": 20,
} as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input);
  return [...edgeLayerBits(sites, input), ...residualMismatch(input), ...unfused(sites), ...sideOfLoss(input)];
}

/** Returns the suspicion that the bits of the first or last layer are too few, before any measurement. */
function suspicionOfBits(bits: number): number {
  if (bits <= 2) return 0.9;
  if (bits === 3) return 0.6;
  return bits === 4 ? 0.4 : bits <= 6 ? 0.2 : 0;
}

/** Whether the first or last layer has so few bits that anything may follow, and fewer than the layers between. */
function isStarved({ kind, bits }: SiteFacts, facts: Facts): boolean {
  return bits <= 2 && bits < usualBits(facts, kind);
}

function edgeLayerBits(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  const { ablation } = input;
  const edges = sites.filter(({ facts }) => facts.edge !== undefined);
  const low = worst(edges, ({ facts, last }) => {
    // Where the layers between have as few bits, the bits of all are the cause.
    const share = isStarved(facts, input.facts) || facts.bits > 2 ? 1 : 0.6;
    return share * suspicionOfBits(facts.bits) * (0.7 + 0.3 * ramp(last.sqnr, 20, 8));
  });
  const facts = low[0]?.place.facts;
  if (facts === undefined) return [];
  const ablated = ablation?.layers.find(({ layer }) => layer === facts.layer);
  const found = findingAt(low, layerOfSite, {
    cause: "edge-layer-bits",
    title: () => `The ${facts.edge} layer has ${facts.bits} bits: ${facts.tensor} has ${facts.levels} levels`,
    evidence: ({ facts, last }) => [
      evidence("bits", facts.bits, 4, "below", facts.tensor),
      evidence("SQNR, dB", last.sqnr, 12, "below", facts.tensor),
    ],
    more:
      ablated === undefined || ablation === undefined
        ? []
        : [
            evidence(
              "loss with only this layer quantized − float loss",
              ablated.alone.loss - ablation.float.loss,
              0.1,
              "above",
              facts.layer,
            ),
            evidence(
              "loss − loss with this layer in float",
              ablation.quantized.loss - ablated.without.loss,
              0.1,
              "above",
              facts.layer,
            ),
          ],
    remedy: {
      title: `give the ${facts.edge} layer 8 bits`,
      changes: { [facts.edge === "first" ? "quantization.firstLayerBits" : "quantization.lastLayerBits"]: 8 },
    },
  });
  return isStarved(facts, input.facts) ? found.map((each) => ({ ...each, explains: consequencesOfStarving })) : found;
}

const consequencesOfStarving = [
  "bad-initial-scale",
  "outlier-range",
  "scale-collapsed",
  "saturated-weights",
  "learning-rate-too-high",
  "learning-rate-too-low",
];

function residualMismatch({ records, facts }: DiagnosisInput): Found[] {
  const recent = latest(records, 3);
  const additions = (records.at(-1)?.additions ?? []).map(({ name }) => {
    const all = recent.flatMap((record) => record.additions.filter((addition) => addition.name === name));
    return {
      name,
      ratio: meanOf(all.map(({ ratio }) => ratio)),
      signal: meanOf(all.map(({ smallerSqnr }) => smallerSqnr)),
    };
  });
  const stored = facts.settings?.quantization?.residualBits;
  const fewer = usualBits(facts, "activation") - (typeof stored === "number" ? stored : Number.NaN);
  // What the configuration gives fewer bits than the layers need not differ in size to drown.
  const drowned = worst(
    additions,
    ({ ratio, signal }) => 0.95 * ramp(signal, 9, 2) * (0.6 + 0.4 * Math.max(ramp(ratio, 1.5, 4), ramp(fewer, 0, 1))),
  );
  const found = findingAt(drowned, ({ name }) => name, {
    cause: "residual-mismatch",
    title: (layers) => `The smaller operand of ${layers} is smaller than the quantization noise of the sum`,
    evidence: (place) => [
      evidence("larger / smaller operand", place.ratio, 4, "above", place.name),
      evidence("bits of the layers − of the skip path", fewer, 1, "above", place.name),
      evidence("smaller operand over the noise of both, dB", place.signal, 6, "below", place.name),
    ],
    remedy: { title: "keep the skip path at 8 bits", changes: { "quantization.residualBits": 8 } },
  });
  return fewer > 0 ? found.map((each) => ({ ...each, explains: consequencesOfFewBits })) : found;
}

const consequencesOfFewBits = [
  "outlier-range",
  "saturated",
  "capacity",
  "dead-channels",
  "bad-initial-scale",
  "gradient-mismatch",
  "learning-rate-too-low",
];

function unfused(sites: readonly SiteView[]): Found[] {
  const between = sites.filter(({ facts }) => facts.intermediate);
  if (between.length === 0) return [];
  const bits = Math.min(...between.map(({ facts }) => facts.bits));
  const noise = meanOf(between.map(({ last }) => last.sqnr));
  const layers = viewedLayers(between);
  return [
    {
      cause: "unfused-placement",
      title: `${between.length} tensors between a layer and its batch normalization or ReLU are quantized: the model is not fused`,
      layers,
      evidence: [
        evidence("quantizers inside of fused layers", between.length, 1, "above"),
        evidence("mean SQNR there, dB", noise, 20, "below"),
        evidence("bits", bits, 6, "below"),
      ],
      confidence: 0.35 + 0.5 * ramp(bits, 8, 4),
      remedy: { title: "fuse Conv, BatchNormalization and ReLU", changes: { "quantization.placement": "fused" } },
    },
  ];
}

/** Compares the loss of weights alone with that of activations alone. It only shows where to look. */
function sideOfLoss({ ablation }: DiagnosisInput): Found[] {
  if (ablation === undefined) return [];
  const base = ablation.float.loss;
  const weights = ablation.weightsOnly.loss - base;
  const activations = ablation.activationsOnly.loss - base;
  const total = ablation.quantized.loss - base;
  const side = activations > weights ? "activations" : "weights";
  const larger = Math.max(activations, weights);
  const smaller = Math.max(0, Math.min(activations, weights));
  const layers = worst(ablation.layers, ({ alone }) => alone.loss - base).map(({ place }) => place.layer);
  return [
    {
      cause: "activations-or-weights",
      title: `The ${side} cause the loss, most of all ${listed(layers)}`,
      layers,
      evidence: [
        evidence("loss of quantized weights alone − float loss", weights, 0.05, "above"),
        evidence("loss of quantized activations alone − float loss", activations, 0.05, "above"),
        evidence("loss of both − float loss", total, 0.05, "above"),
      ],
      confidence: total < 0.05 ? 0 : 0.4 * ramp(larger / Math.max(smaller, 1e-3), 1.2, 3),
      remedy: null,
    },
  ];
}

/** Layers and placements that lose more than others. */
export const placementCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["edge-layer-bits", "unfused-placement"],
  explains: {
    "edge-layer-bits": ["dead-channels", "saturated", "gradient-mismatch"],
  },
  find,
};
