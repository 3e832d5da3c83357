/** How scales are trained: decay, rate, or not at all (rows 29 to 31). */

import { median } from "../../base/statistics.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import { decayed } from "./optimizer.ts";
import { type SiteView, sitesOf, viewedLayers } from "./view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "scale-decay": 29, "scale-rate-too-high": 30, "scales-not-trained": 31 } as const;
type Found = CauseFinding<keyof typeof rows>;

const group = "train.optimizer.groups.quantizer";

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input).filter(({ facts }) => facts.learned);
  if (sites.length === 0) return [];
  return [...scaleDecay(input, sites), ...scaleRate(input, sites), ...notTrained(input, sites)];
}

/** The change that scales made at most over the run: median over the sites of ln(s/s₀), or of its largest magnitude. */
function changeOf(sites: readonly SiteView[], key: "scaleChange" | "largestScaleChange"): number {
  const all = sites.map((view) => {
    const measured = view.all.map((each) => each[key]).filter((value) => !Number.isNaN(value));
    return measured.reduce((far, value) => (Math.abs(value) > Math.abs(far) ? value : far), 0);
  });
  return median(all);
}

function scaleDecay(input: DiagnosisInput, sites: readonly SiteView[]): Found[] {
  const decay = input.facts.recipe?.weightDecay?.quantizers ?? 0;
  const share = decayed(input, decay);
  if (!(share > 0)) return [];
  return [
    {
      cause: "scale-decay",
      title: `The weight decay of ${decay} on the quantizers' parameters pulls the scales towards 0`,
      layers: viewedLayers(sites),
      evidence: [
        evidence("weight decay of the quantizers", decay, 0.1, "above"),
        evidence("share of a scale that it takes away over the run", share, 0.3, "above"),
        evidence("ln(s / s₀), median over the scales", changeOf(sites, "scaleChange"), -0.2, "below"),
      ],
      confidence: 0.95 * logRamp(share, 0.1, 0.8),
      remedy: { title: "take the decay off the quantizers", changes: { [`${group}.weightDecay`]: 0 } },
    },
  ];
}

function scaleRate(input: DiagnosisInput, sites: readonly SiteView[]): Found[] {
  const factor = input.facts.recipe?.learningRateScale?.quantizers ?? 1;
  const moved = Math.abs(changeOf(sites, "largestScaleChange"));
  const distance = median(input.records.at(-1)?.weights.map((weight) => weight.distance) ?? []);
  const far = ramp(moved, 0.7, 1.6);
  // Without a factor in the recipe, scales that move far while the weights stay where they are say the same.
  const alone = 0.6 * far * (1 - ramp(distance, 0.2, 0.6));
  return [
    {
      cause: "scale-rate-too-high",
      title: `The scales are trained ${factor > 1 ? `${factor} times as fast as the weights` : "too fast"}: they go ${Math.exp(moved).toFixed(0)} times away from their start`,
      layers: viewedLayers(sites),
      evidence: [
        evidence("learning rate of the scales / of the weights", factor, 10, "above"),
        evidence("largest |ln(s / s₀)|, median over the tensors", moved, 1, "above"),
        evidence("‖w − w₀‖ / ‖w₀‖", distance, 0.4, "below"),
      ],
      confidence: 0.95 * Math.max(logRamp(factor, 4, 40) * (0.6 + 0.4 * far), alone),
      remedy: {
        title: "train the scales as fast as the weights",
        changes: { [`${group}.learningRateScale`]: factor > 1 ? 1 : Number((factor / 10).toPrecision(2)) },
      },
    },
  ];
}

function notTrained(input: DiagnosisInput, sites: readonly SiteView[]): Found[] {
  const factor = input.facts.recipe?.learningRateScale?.quantizers ?? 1;
  if (factor >= 0.05) return [];
  const moved = Math.abs(changeOf(sites, "largestScaleChange"));
  return [
    {
      cause: "scales-not-trained",
      title: "The scales of a quantizer that learns them are not trained",
      layers: viewedLayers(sites),
      evidence: [
        evidence("learning rate of the scales / of the weights", factor, 0.01, "below"),
        evidence("largest |ln(s / s₀)|, median over the tensors", moved, 0.05, "below"),
      ],
      confidence: 0.9,
      remedy: { title: "train the scales", changes: { [`${group}.learningRateScale`]: 1 } },
    },
  ];
}

/** Scales that are trained in the wrong way. */
export const scaleTrainingCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["scale-decay", "scale-rate-too-high", "scales-not-trained"],
  explains: {
    "scale-decay": [
      "dead-channels",
      "dead-weights",
      "saturated-weights",
      "saturated",
      "scale-collapsed",
      "outlier-range",
      "gradient-mismatch",
      "learning-rate-too-low",
      "capacity",
    ],
    "scale-rate-too-high": [
      "scale-collapsed",
      "scale-gradient-imbalance",
      "outlier-range",
      "saturated",
      "gradient-mismatch",
      "heavy-tailed-weights",
      "learning-rate-too-low",
      "learning-rate-too-high",
      "dead-weights",
      "dead-channels",
      "saturated-weights",
    ],
    "scales-not-trained": ["bad-initial-scale", "saturated"],
  },
  find,
};
