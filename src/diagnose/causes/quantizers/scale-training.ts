/** How scales are trained: decay, rate, or not at all (rows 29 to 31). */

import { median } from "../../../base/statistics.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { SiteMeasurement } from "../../probe/measurement.ts";
import { decayed } from "../training/optimizer.ts";
import { type SiteView, sitesOf, viewedLayers, wayOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "scale-decay": 29, "scale-rate-too-high": 30, "scales-not-trained": 31 } as const;
type Found = CauseFinding<keyof typeof rows>;

const group = "train.optimizer.groups.quantizer";

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input).filter(({ facts }) => facts.learned);
  if (sites.length === 0) return [];
  return [...scaleDecay(input, sites), ...scaleRate(input, sites), ...notTrained(input, sites)];
}

/** The changes of the scales and limits of a quantizer at a probe; a log of an earlier version holds that of the scale alone. */
function changesAt({ learned, scaleChange, largestScaleChange }: SiteMeasurement, key: "change" | "largestChange") {
  const ranges = learned.filter(({ kind }) => kind !== "shift").map((each) => each[key]);
  const all = ranges.length > 0 ? ranges : [key === "change" ? scaleChange : largestScaleChange];
  return all.filter((value) => !Number.isNaN(value));
}

/** The change that scales and limits made at most over the run: median over the sites of ln(s/s₀), or of its largest magnitude. */
function changeOf(sites: readonly SiteView[], key: "change" | "largestChange"): number {
  const all = sites.map((view) => {
    const measured = view.all.flatMap((each) => changesAt(each, key));
    return measured.reduce((far, value) => (Math.abs(value) > Math.abs(far) ? value : far), 0);
  });
  return median(all);
}

function wasMeasured(sites: readonly SiteView[]): boolean {
  return sites.some(({ all }) => all.some((each) => changesAt(each, "change").length > 0));
}

/** The change of the scales alone, where nothing in the recipe says that they are trained too fast. */
function scaleChangeOf(sites: readonly SiteView[]): number {
  const all = sites.map(({ all }) =>
    Math.max(0, ...all.map((each) => each.largestScaleChange).filter(Number.isFinite)),
  );
  return median(all);
}

/** How far a step moved scales and limits at most over the run: median over the sites; NaN: not measured. */
function updateOf(sites: readonly SiteView[]): number {
  const all = sites.flatMap((view) => {
    const updates = view.all.flatMap(({ learned }) =>
      learned.flatMap(({ kind, update }) => (kind === "shift" || Number.isNaN(update) ? [] : [update])),
    );
    return updates.length === 0 ? [] : [Math.max(...updates)];
  });
  return median(all);
}

function scaleDecay(input: DiagnosisInput, sites: readonly SiteView[]): Found[] {
  const decay = input.facts.recipe?.weightDecay?.quantizers ?? 0;
  const share = decayed(input, decay);
  if (!(share > 0)) return [];
  const moved = changeOf(sites, "change");
  return [
    {
      cause: "scale-decay",
      title: `The weight decay of ${decay} on the quantizers' parameters pulls the scales towards 0`,
      layers: viewedLayers(sites),
      evidence: [
        evidence("weight decay of the quantizers", decay, 0.1, "above"),
        evidence("share of a scale that it takes away over the run", share, 0.3, "above"),
        evidence(
          "ln(s / s₀) of scales and limits, farthest over the run, median over the tensors",
          moved,
          -0.2,
          "below",
        ),
      ],
      // A decay that the gradient holds against costs nothing: what it did to the scales is measured.
      confidence:
        0.95 * logRamp(share, 0.1, 0.8) * (wasMeasured(sites) ? 0.6 + 0.4 * ramp(Math.abs(moved), 0.02, 0.2) : 1),
      remedy: { title: "take the decay off the quantizers", changes: { [`${group}.weightDecay`]: 0 } },
    },
  ];
}

function scaleRate(input: DiagnosisInput, sites: readonly SiteView[]): Found[] {
  const factor = input.facts.recipe?.learningRateScale?.quantizers ?? 1;
  const moved = Math.abs(changeOf(sites, "largestChange"));
  const distance = wayOf(input.records.at(-1));
  const far = ramp(moved, 0.7, 1.6);
  // Without a factor in the recipe, scales that move far while the weights stay where they are say the same.
  const alone = 0.6 * ramp(scaleChangeOf(sites), 0.7, 1.6) * (1 - ramp(distance, 0.2, 0.6));
  return [
    {
      cause: "scale-rate-too-high",
      title: `The scales are trained ${factor > 1 ? `${factor} times as fast as the weights` : "too fast"}: they go ${Math.exp(moved).toFixed(0)} times away from their start`,
      layers: viewedLayers(sites),
      evidence: [
        evidence("learning rate of the scales / of the weights", factor, 10, "above"),
        evidence("largest |ln(s / s₀)|, median over the tensors", moved, 1, "above"),
        evidence(
          "change of scales in a step, largest over the run, median over the tensors",
          updateOf(sites),
          0.1,
          "above",
        ),
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
  const moved = Math.abs(changeOf(sites, "largestChange"));
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
