/** Trained scales: their initial values, their updates compared with those of weights, and their collapse (rows 4 and 7). */

import { median } from "../../../base/statistics.ts";
import { advisedPresets } from "../../../qconfig/presets.ts";
import { quantizerNamed } from "../../../quantizers/index.ts";
import type { Evidence } from "../../../runs/finding.ts";
import { shortfallOf } from "../../confidence/expectation.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { SiteMeasurement } from "../../probe/measurement.ts";
import { brokenTraining } from "../consequences.ts";
import {
  findingAt,
  hasClippedWeights,
  layerOfSite,
  listed,
  meanOf,
  type SiteView,
  sitesOf,
  viewedLayers,
  weightOfLoss,
  worst,
} from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = { "bad-initial-scale": 4, "scale-gradient-imbalance": 7, "scale-collapsed": 7 } as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input).filter(({ facts }) => facts.learned && facts.observer === undefined);
  const began = input.records[0]?.step ?? 0;
  return [
    ...(began <= 10 ? badInitialScale(sites, input) : []),
    ...gradientImbalance(sites, input),
    ...collapsed(sites, input),
  ];
}

/** Scales that an update pushed to their lower limit: it was larger than the scale itself. */
function collapsed(sites: readonly SiteView[], { facts }: DiagnosisInput): Found[] {
  const fallen = ({ first, last }: SiteView) => last.floorShare - first.floorShare;
  const worstFirst = worst(sites, (view) => 0.95 * logRamp(fallen(view), 0.005, 0.2));
  const rate = facts.recipe?.learningRateScale?.quantizers ?? 1;
  return findingAt(worstFirst, layerOfSite, {
    cause: "scale-collapsed",
    title: (layers) => `Learned scales fell to their lower limit in ${layers}: their updates are too large`,
    evidence: (view) => [
      evidence("share of scales at their lower limit", view.last.floorShare, 0.005, "above", view.facts.tensor),
      evidence("SQNR, dB", view.last.sqnr, 10, "below", view.facts.tensor),
    ],
    remedy: {
      title: "lower the learning rate of the scales",
      changes: {
        "train.optimizer.groups.quantizer.learningRateScale": rate > 10 ? 1 : Number((rate / 10).toPrecision(2)),
      },
    },
  });
}

/** Whether an override of the configuration sets an option of quantizers. */
function overridesSet({ facts: { settings } }: DiagnosisInput, option: string): boolean {
  return (settings?.quantization?.overrides ?? []).some(({ weight, activation }) =>
    [weight, activation].some((tensor) => typeof tensor === "object" && tensor.options?.[option] !== undefined),
  );
}

/**
 * Share of the tensors whose scale began far from what the quantizer's own rule gives, at a cost that shows: where it is most of
 * them, something set the scales so. PACT begins with one limit for all, which is far from the values in up to 0.8 of the tensors.
 */
function badlyBegun(sites: readonly SiteView[]): number {
  const off = sites.filter(
    ({ first }) =>
      first.optimalSqnr - first.sqnr > 5 &&
      offStart(first) > 2.5 &&
      (first.clippedShare > 0.05 || first.deadShare > 0.4),
  );
  return sites.length === 0 ? 0 : off.length / sites.length;
}

/** 0 to 1: how many weights whose quantizers have no trained scale lay outside of the range at the start; what follows them is large. */
function clippedWithoutScale(input: DiagnosisInput): number {
  const weights = sitesOf(input).filter(({ facts }) => facts.kind === "weight" && !facts.learned);
  return weights.length === 0
    ? 0
    : ramp(weights.filter((view) => hasClippedWeights(view, view.first)).length / weights.length, 0.2, 0.5);
}

function badInitialScale(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  // What the start destroyed is destroyed in the float twin too: where accuracy is missing, the loss next to it says nothing.
  const isMissing = input.history !== undefined && (shortfallOf(input)?.missing ?? 0) > 0.02;
  const lossWeight = isMissing ? 1 : weightOfLoss(input);
  const isComparable = ({ facts }: SiteView) => quantizerNamed(facts.quantizer).grid !== undefined;
  const isCorrected = sites.every(({ last }) => last.optimalSqnr - last.sqnr < 3);
  const systematic =
    0.93 * ramp(badlyBegun(sites.filter(isComparable)), 0.7, 0.9) * lossWeight * (isCorrected ? 0.85 : 1);
  const caused = clippedWithoutScale(input);
  const bad = worst(sites, (view) => {
    const { first, last } = view;
    const lost = first.optimalSqnr - first.sqnr;
    const visible = first.deadShare > 0.4 || first.clippedShare > 0.05 ? 1 : 0.6;
    const recovered = last.optimalSqnr - last.sqnr < 3 ? 0.85 : 1;
    // The best grid that was searched has even levels: uneven ones are not to be measured by it.
    const comparable = isComparable(view) ? 1 : 0.6;
    const weight = Math.min(comparable, lossWeight, weightOfStart(first));
    return (1 - 0.5 * caused) * 0.97 * ramp(lost, 5, 12) * ramp(first.sqnr, 18, 8) * visible * recovered * weight;
  });
  const [worstSite] = bad;
  if (worstSite === undefined) return [];
  const views = bad.map(({ place }) => place);
  const { facts, first } = worstSite.place;
  return [
    {
      cause: "bad-initial-scale",
      title: `The initial scale of ${facts.tensor} is ${describeRatio(first.scaleRatio)}`,
      layers: viewedLayers(views),
      evidence: views
        .slice(0, 3)
        .flatMap(({ facts, first, last }): Evidence[] => [
          evidence(
            "scale / best scale at the start",
            first.scaleRatio,
            first.scaleRatio > 1 ? 2 : 0.5,
            first.scaleRatio > 1 ? "above" : "below",
            facts.tensor,
          ),
          evidence(
            "scale / that of the quantizer's own rule, either way",
            offStart(first),
            startFactor,
            "above",
            facts.tensor,
          ),
          evidence("SQNR lost at the start, dB", first.optimalSqnr - first.sqnr, 5, "above", facts.tensor),
          evidence("dead share at the start", first.deadShare, 0.4, "above", facts.tensor),
          evidence("clipped share at the start", first.clippedShare, 0.05, "above", facts.tensor),
          evidence("SQNR lost now, dB", last.optimalSqnr - last.sqnr, 3, "above", facts.tensor),
        ])
        .concat(evidence("share of the tensors whose scale began far off", badlyBegun(sites), 0.8, "above")),
      confidence: Math.max(worstSite.score, (1 - 0.5 * caused) * systematic),
      // A scale that the rule gave is not made another by it.
      remedy:
        offStart(first) < startFactor
          ? null
          : overridesSet(input, "initializer")
            ? { title: "take the initializer out of the overrides", changes: { "quantization.overrides": null } }
            : {
                title: "start with the scale of the first batch (LSQ: 2·mean|x|/√Qp)",
                changes: { "quantization.preset": advisedPresets.learnedRanges, "quantization.reduceRange": false },
              },
    },
  ];
}

/** How far a scale may be from that of the quantizer's own rule, because batches and samples differ. */
const startFactor = 2;

/** The factor by which a scale is off that of the quantizer's own rule, either way; NaN: not measured. */
function offStart({ initialRatio }: SiteMeasurement): number {
  return Math.max(initialRatio, 1 / initialRatio);
}

/**
 * The factor of the confidence in a bad initial scale. The best grid is that of the least squared error, which large values decide;
 * the rules of learned scales clip them, and keep the accuracy. So a scale that such a rule gave is no fault.
 */
function weightOfStart(first: SiteMeasurement): number {
  const off = offStart(first);
  return Number.isNaN(off) ? 1 : 0.6 + 0.4 * logRamp(off, startFactor, 2 * startFactor);
}

function describeRatio(ratio: number): string {
  return ratio >= 1 ? `${ratio.toFixed(1)} times too large` : `${(1 / ratio).toFixed(1)} times too small`;
}

/**
 * Share of the scales whose gradient has no factor, where that makes their updates large: the gradient of a scale is a sum over all
 * values (arXiv 1902.08153, section 2.2). Adam divides by the gradient's own size, so that a factor changes nothing.
 */
function unscaledShare(sites: readonly SiteView[], { facts: { recipe } }: DiagnosisInput): number {
  if (recipe?.optimizer?.name !== "sgd" || sites.length === 0) return 0;
  return sites.filter(({ facts }) => facts.unscaledGradient === true).length / sites.length;
}

function gradientImbalance(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  const unscaled = unscaledShare(sites, input);
  const balances = sites.flatMap(({ facts, all }) => {
    const balance = meanOf(all.slice(-3).map((each) => each.scaleBalance));
    return Number.isNaN(balance) ? [] : [{ facts, balance }];
  });
  if (balances.length === 0) return [];
  const middle = median(balances.map(({ balance }) => balance));
  const isHigh = middle > 1;
  const atStart = median(sites.map(({ first }) => first.scaleBalance));
  const confidence = Math.max(
    0.58 * (isHigh ? logRamp(middle, 60, 2000) : logRamp(1 / middle, 300, 30000)),
    // Eight bits have a balance of 1 or 2 with the factor too: what the configuration says is the most of it.
    0.93 * ramp(unscaled, 0.2, 0.6) * (0.7 + 0.3 * logRamp(Math.max(atStart, middle), 1, 5)),
  );
  const explains =
    unscaled > 0
      ? [...brokenTraining, "learning-rate-too-high", "negative-lost", "gradient-mismatch", "outlier-range"]
      : [];
  const worstFirst = [...balances].sort((a, b) => (isHigh ? b.balance - a.balance : a.balance - b.balance)).slice(0, 3);
  return [
    {
      cause: "scale-gradient-imbalance",
      title:
        unscaled > 0
          ? "The gradient of the scales has no factor (gradientScale none), and SGD takes it as it is"
          : `Updates of scales are far ${isHigh ? "larger" : "smaller"} than those of weights, most of all in ${listed(viewedLayers(worstFirst))}`,
      layers: viewedLayers(worstFirst),
      evidence: [
        ...worstFirst.map(({ facts, balance }) =>
          evidence(
            "(|∂L/∂s|/s) / (‖∂L/∂w‖/‖w‖)",
            balance,
            isHigh ? 60 : 1 / 300,
            isHigh ? "above" : "below",
            facts.tensor,
          ),
        ),
        ...(unscaled > 0 ? [evidence("share of scales whose gradient has no factor", unscaled, 0.5, "above")] : []),
      ],
      confidence,
      explains,
      remedy: overridesSet(input, "gradientScale")
        ? { title: "take gradientScale out of the overrides", changes: { "quantization.overrides": null } }
        : {
            title: "scale the gradient of the scales",
            changes: {
              "train.optimizer.groups.quantizer.learningRateScale": Number((1 / Math.sqrt(middle)).toPrecision(1)),
            },
          },
    },
  ];
}

/** Scales that start or learn wrongly. */
export const scaleCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["scale-collapsed"],
  actsAtStart: ["bad-initial-scale", "scale-collapsed"],
  explains: {
    "bad-initial-scale": [
      "scale-collapsed",
      "saturated-weights",
      "outlier-range",
      "saturated",
      "learning-rate-too-high",
    ],
  },
  find,
};
