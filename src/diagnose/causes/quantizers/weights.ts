/** Weights: oscillation, channels that differ, heavy tails (rows 10, 15 and 17). */

import { advisedPresets } from "../../../qconfig/presets.ts";
import { quantizerNamed } from "../../../quantizers/index.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { SiteMeasurement } from "../../probe/measurement.ts";
import {
  findingAt,
  isUneven,
  latest,
  layerOfSite,
  meanOf,
  progressOf,
  type SiteView,
  sitesOf,
  worst,
} from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { oscillation: 10, "channel-disparity": 15, "heavy-tailed-weights": 17 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input).filter(({ facts }) => facts.kind === "weight");
  return [...oscillation(input), ...channelDisparity(sites), ...heavyTails(sites)];
}

/** Applies only late in the run: early on, codes also turn back because the weights still move. */
function oscillation(input: DiagnosisInput): Found[] {
  if (progressOf(input) < 0.6) return [];
  const records = latest(input.records, 2);
  const weights = (records.at(-1)?.weights ?? []).map(({ name }) => {
    const all = records.flatMap((record) => record.weights.filter((weight) => weight.name === name));
    return {
      layer: input.facts.layersOfWeights.get(name) ?? name,
      share: meanOf(all.map((weight) => weight.oscillatingShare)),
      flips: meanOf(all.map((weight) => weight.flipRate)),
    };
  });
  const swinging = worst(weights, ({ share }) => 0.55 * ramp(share, 0.02, 0.15));
  return findingAt(swinging, ({ layer }) => layer, {
    cause: "oscillation",
    title: (layers) => `Weights oscillate between two codes late in the run, in ${layers}`,
    evidence: (place) => [
      evidence("share of codes that turn back within six steps", place.share, 0.02, "above", place.layer),
      evidence("codes that change a step", place.flips, 0.01, "above", place.layer),
    ],
    remedy: hasGrid(input)
      ? { title: "dampen oscillation", changes: { "quantization.dampening.strength": 0.1 } }
      : null,
  });
}

/** Whether dampening has a weight to act on. */
function hasGrid({ facts }: DiagnosisInput): boolean {
  const weights = facts.sites.filter(({ kind }) => kind === "weight");
  return weights.length === 0 || weights.some(({ quantizer }) => quantizerNamed(quantizer).grid !== undefined);
}

function channelDisparity(sites: readonly SiteView[]): Found[] {
  const uneven = worst(
    sites.filter(({ facts }) => !facts.perChannel),
    (view) => {
      // The large channels have most of the power: with uneven levels the tensor is represented well while the others become 0.
      const scoreOf = ({ channelDisparity, sqnr, deadShare }: SiteMeasurement) =>
        logRamp(channelDisparity, 6, 20) * Math.max(ramp(sqnr, 24, 10), ramp(deadShare, 0.4, 0.7));
      // A training that was lost because of it may have made the channels more equal since.
      if (isUneven(view, view.first)) return 0.88 * Math.max(scoreOf(view.last), scoreOf(view.first));
      // What the training itself made of the channels may have another cause.
      return 0.65 * scoreOf(view.last);
    },
  );
  return findingAt(uneven, layerOfSite, {
    cause: "channel-disparity",
    title: (layers) => `One scale covers channels of very different magnitude in the weights of ${layers}`,
    evidence: ({ facts, first, last }) => [
      evidence("largest / median channel", last.channelDisparity, 8, "above", facts.tensor),
      evidence("largest / median channel at the start", first.channelDisparity, 8, "above", facts.tensor),
      evidence("SQNR, dB", last.sqnr, 12, "below", facts.tensor),
    ],
    remedy: {
      title: "use one scale per channel",
      changes: { "quantization.preset": advisedPresets.learnedRanges, "quantization.reduceRange": false },
    },
  });
}

function heavyTails(sites: readonly SiteView[]): Found[] {
  const heavy = worst(sites, ({ facts, last }) =>
    last.entropy < facts.bits - 1.5 && facts.bits > 2 ? 0.5 * logRamp(last.kurtosis, 8, 30) : 0,
  );
  return findingAt(heavy, layerOfSite, {
    cause: "heavy-tailed-weights",
    title: (layers) => `The weights have heavy tails, so most codes stay empty, in ${layers}`,
    evidence: ({ facts, last }) => [
      evidence("kurtosis", last.kurtosis, 10, "above", facts.tensor),
      evidence("entropy, bits", last.entropy, facts.bits - 1.5, "below", facts.tensor),
    ],
    remedy: {
      title: "use levels for heavy tails, on normalized weights (APoT)",
      changes: { "quantization.preset": advisedPresets.unevenLevels, "quantization.reduceRange": false },
    },
  });
}

/** Weights that oscillate, differ by channel, or have heavy tails. */
export const weightCauses: CauseFamily<keyof typeof rows> = {
  rows,
  explains: {
    "channel-disparity": [
      "saturated-weights",
      "batch-norm-stale",
      "dead-weights",
      "dead-channels",
      "heavy-tailed-weights",
      "outlier-range",
      "gradient-mismatch",
      "bad-initial-scale",
      "scale-collapsed",
      "learning-rate-too-low",
    ],
  },
  find,
};
