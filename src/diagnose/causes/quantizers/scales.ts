/** Trained scales: their initial values, their updates compared with those of weights, and their collapse (rows 4 and 7). */

import { median } from "../../../base/statistics.ts";
import { advisedPresets } from "../../../qconfig/presets.ts";
import { quantizerNamed } from "../../../quantizers/index.ts";
import type { Evidence } from "../../../runs/finding.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { SiteMeasurement } from "../../probe/measurement.ts";
import {
  findingAt,
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
    ...gradientImbalance(sites),
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

function badInitialScale(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  const lossWeight = weightOfLoss(input);
  const bad = worst(sites, ({ facts, first, last }) => {
    const lost = first.optimalSqnr - first.sqnr;
    const visible = first.deadShare > 0.4 || first.clippedShare > 0.05 ? 1 : 0.6;
    const recovered = last.optimalSqnr - last.sqnr < 3 ? 0.85 : 1;
    // The best grid that was searched has even levels: uneven ones are not to be measured by it.
    const comparable = quantizerNamed(facts.quantizer).grid === undefined ? 0.6 : 1;
    const weight = Math.min(comparable, lossWeight, weightOfStart(first));
    return 0.97 * ramp(lost, 5, 12) * ramp(first.sqnr, 18, 8) * visible * recovered * weight;
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
        ]),
      confidence: worstSite.score,
      // A scale that the rule gave is not made another by it.
      remedy:
        offStart(first) < startFactor
          ? null
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

function gradientImbalance(sites: readonly SiteView[]): Found[] {
  const balances = sites.flatMap(({ facts, all }) => {
    const balance = meanOf(all.slice(-3).map((each) => each.scaleBalance));
    return Number.isNaN(balance) ? [] : [{ facts, balance }];
  });
  if (balances.length === 0) return [];
  const middle = median(balances.map(({ balance }) => balance));
  const isHigh = middle > 1;
  const confidence = 0.58 * (isHigh ? logRamp(middle, 60, 2000) : logRamp(1 / middle, 300, 30000));
  const worstFirst = [...balances].sort((a, b) => (isHigh ? b.balance - a.balance : a.balance - b.balance)).slice(0, 3);
  return [
    {
      cause: "scale-gradient-imbalance",
      title: `Updates of scales are far ${isHigh ? "larger" : "smaller"} than those of weights, most of all in ${listed(viewedLayers(worstFirst))}`,
      layers: viewedLayers(worstFirst),
      evidence: worstFirst.map(({ facts, balance }) =>
        evidence(
          "(|∂L/∂s|/s) / (‖∂L/∂w‖/‖w‖)",
          balance,
          isHigh ? 60 : 1 / 300,
          isHigh ? "above" : "below",
          facts.tensor,
        ),
      ),
      confidence,
      remedy: {
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
  find,
};
