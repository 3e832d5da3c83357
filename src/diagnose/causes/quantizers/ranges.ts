/** Ranges that observers give: stretched by outliers, still moving, frozen too early; and clipping (rows 2, 3 and 8). */

import { quantizerNamed } from "../../../quantizers/index.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import type { SiteMeasurement } from "../../probe/measurement.ts";
import {
  findingAt,
  layerOfSite,
  learnRanges,
  meanOf,
  progressOf,
  type SiteView,
  sitesOf,
  weightOfLoss,
  worst,
} from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = {
  "outlier-range": 2,
  "range-moving": 3,
  "observer-frozen-early": 3,
  "observer-too-slow": 3,
  saturated: 8,
} as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  const sites = sitesOf(input);
  const isObserving = input.records.at(-1)?.observing ?? true;
  return [
    ...outlierRange(sites, isObserving, weightOfLoss(input), costAtStart(input)),
    ...(isObserving ? [...rangeMoving(sites, input), ...tooSlow(sites, input)] : frozenEarly(sites, input)),
    ...saturated(sites),
  ];
}

/** Returns the SQNR lost against the best grid in dB, weighted by its relevance: 0 where the tensor keeps 28 dB. */
function relevantLoss({ last }: SiteView): number {
  const lost = last.optimalSqnr - last.sqnr;
  return lost * ramp(last.sqnr, 28, 14);
}

/**
 * Returns the levels of the median channel of a tensor with one scale. A few large channels hold the power, so the SQNR
 * of the whole tensor looks good while all other channels have a level or two.
 */
function levelsOfMedianChannel({ facts }: SiteView, measured: SiteMeasurement): number {
  if (facts.perChannel || !Number.isFinite(measured.channelDisparity)) return Number.NaN;
  return measured.magnitude.max / measured.channelDisparity / measured.scale;
}

/** 0 to 1: how much worse than the same weights in float the run began; 0 where it was not measured from the start. */
function costAtStart({ records: [first] }: DiagnosisInput): number {
  return first?.step === 0 ? ramp(first.loss / Math.max(first.floatLoss, 0.05), 1.5, 4) : 0;
}

function outlierRange(
  sites: readonly SiteView[],
  isObserving: boolean,
  lossWeight: number,
  startCost: number,
): Found[] {
  const isOutlierChannel = (view: SiteView, measured = view.last) =>
    measured.channelDisparity >= 6 && levelsOfMedianChannel(view, measured) < 4;
  const stretched = worst(
    sites.filter(
      ({ last, facts }) =>
        facts.kind === "activation" &&
        quantizerNamed(facts.quantizer).grid !== undefined &&
        last.coverage > 0.8 &&
        (isObserving || last.coverage < 1.3),
    ),
    (view) => {
      const { magnitude, coverage } = view.last;
      // Past outliers that the moving average still holds count like present ones.
      const tail = logRamp((magnitude.max / magnitude.p999) * coverage, 1.2, 3);
      const observed = view.facts.observer === undefined ? 0 : ramp(relevantLoss(view), 1.5, 7) * (0.45 + 0.55 * tail);
      const byChannelIn = (measured: SiteMeasurement) =>
        isOutlierChannel(view, measured)
          ? ramp(levelsOfMedianChannel(view, measured), 4, 1.5) * ramp(view.facts.bits - measured.entropy, 1.2, 2.5)
          : 0;
      // A channel that stretched the range at the start costs the start, whatever the training made of it since.
      const atStart = view.facts.observer === undefined ? 0 : startCost * byChannelIn(view.first);
      const byChannel = Math.max(byChannelIn(view.last), atStart);
      return 0.95 * Math.max(lossWeight, atStart) * Math.max(observed, byChannel);
    },
  );
  const title = (layers: string, worst: SiteView) => {
    const { facts, last } = worst;
    if (isOutlierChannel(worst)) {
      return `Channel ${last.largestChannel} stretches the range of ${facts.tensor}: it is ${last.channelDisparity.toFixed(0)} times the median channel`;
    }
    return last.coverage > 1.5
      ? `The moving average of the range of ${facts.tensor} still holds outliers: it is ${last.coverage.toFixed(1)} times the range of the values`
      : `Outliers stretch the min-max range of ${layers}`;
  };
  return findingAt(stretched, layerOfSite, {
    cause: "outlier-range",
    title,
    evidence: (view) => {
      const { facts, last } = view;
      const { magnitude } = last;
      const lost = last.optimalSqnr - last.sqnr;
      return [
        evidence("SQNR lost against the best range, dB", lost, 3, "above", facts.tensor),
        evidence("levels of the median channel", levelsOfMedianChannel(view, last), 4, "below", facts.tensor),
        evidence("largest / median channel", last.channelDisparity, 8, "above", facts.tensor),
        evidence("representable / observed maximum", last.coverage, 1.5, "above", facts.tensor),
        evidence("maximum / 99.9th percentile", magnitude.max / magnitude.p999, 2, "above", facts.tensor),
        evidence("maximum / 97.5th percentile", magnitude.max / magnitude.p975, 3.5, "above", facts.tensor),
        evidence("dead share", last.deadShare, 0.3, "above", facts.tensor),
        evidence("entropy, bits", last.entropy, facts.bits - 1.5, "below", facts.tensor),
      ];
    },
    remedy: learnRanges,
  });
}

function rangeMoving(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  const [before, last] = input.records.slice(-2);
  if (before === undefined || last === undefined || before.step === 0 || progressOf(input) < 0.5) return [];
  const drifts = sites
    .filter(({ facts }) => facts.observer !== undefined && facts.kind === "activation")
    .flatMap((view) => {
      const [old, now] = view.all.slice(-2);
      if (old === undefined || now === undefined) return [];
      return [{ ...view, drift: (100 * Math.abs(Math.log(now.scale / old.scale))) / (last.step - before.step) }];
    });
  const moving = worst(drifts, ({ drift }) => 0.5 * logRamp(drift, 0.05, 0.5));
  return findingAt(moving, layerOfSite, {
    cause: "range-moving",
    title: (_, { drift }) =>
      `The observed ranges still change late in the run, by ${Math.round(100 * drift)} % in 100 steps`,
    evidence: ({ facts, drift }) => [evidence("|Δ ln s| in 100 steps", drift, 0.1, "above", facts.tensor)],
    remedy: {
      title: "freeze the observers for the last part of the run",
      changes: { "quantization.freezeObserversAfterEpoch": Math.ceil((input.facts.recipe?.epochs ?? 10) * 0.6) },
    },
  });
}

/** A moving average whose weight on what came after the first batch is small: constant times steps, below about 1. */
function tooSlow(sites: readonly SiteView[], input: DiagnosisInput): Found[] {
  const steps = input.records.at(-1)?.step ?? Number.NaN;
  const renewed = ({ facts }: SiteView) => (facts.averagingConstant ?? Number.NaN) * steps;
  const off = ({ last }: SiteView) => Math.max(last.coverage, 1 / last.coverage);
  const slow = worst(sites, (view) => 0.95 * logRamp(renewed(view), 0.6, 0.1) * logRamp(off(view), 1.3, 2));
  const overrides = input.facts.settings?.quantization?.overrides ?? [];
  const isSet = overrides.some(({ activation }) => typeof activation === "object" && activation.observer !== undefined);
  return findingAt(slow, layerOfSite, {
    cause: "observer-too-slow",
    title: (layers, { facts }) =>
      `The moving average of the ranges, with a constant of ${facts.averagingConstant}, hardly leaves that of the first batch in ${layers}`,
    evidence: (view) => [
      evidence("averaging constant × steps", renewed(view), 1, "below", view.facts.tensor),
      evidence("range / that of the values, either way", off(view), 1.5, "above", view.facts.tensor),
      evidence("clipped share", view.last.clippedShare, 0.02, "above", view.facts.tensor),
    ],
    remedy: isSet
      ? { title: "take the observer of the override away", changes: { "quantization.overrides": null } }
      : learnRanges,
  });
}

function frozenEarly(sites: readonly SiteView[], { facts }: DiagnosisInput): Found[] {
  const frozen = worst(
    sites.filter((view) => view.facts.observer !== undefined),
    ({ last }) => 0.95 * logRamp(Math.max(last.coverage, 1 / last.coverage), 1.3, 2.2),
  );
  const epoch = facts.recipe?.freezeObserversAfterEpoch ?? 0;
  const epochs = facts.recipe?.epochs ?? epoch + 1;
  return findingAt(frozen, layerOfSite, {
    cause: "observer-frozen-early",
    title: (layers, { last }) =>
      last.coverage < 1
        ? `The observers were frozen after epoch ${epoch}: values now exceed the ranges of ${layers}`
        : `The observers were frozen after epoch ${epoch}: the ranges of ${layers} are far too wide`,
    evidence: ({ facts, last }) => {
      const tight = last.coverage < 1;
      return [
        evidence(
          "representable / observed maximum",
          last.coverage,
          tight ? 0.75 : 1.5,
          tight ? "below" : "above",
          facts.tensor,
        ),
        evidence("clipped share", last.clippedShare, 0.02, "above", facts.tensor),
        evidence("dead share", last.deadShare, 0.4, "above", facts.tensor),
      ];
    },
    remedy: {
      title: epoch > epochs / 4 ? "freeze the observers later" : "do not freeze the observers",
      // Where most of the run is frozen, the rest is too short for later freezing to help.
      changes: {
        "quantization.freezeObserversAfterEpoch":
          epoch > epochs / 4 ? Math.max(epoch + 1, Math.ceil(epochs * 0.75)) : null,
      },
    },
  });
}

function saturated(sites: readonly SiteView[]): Found[] {
  const clipped = worst(
    sites.filter(({ facts, first }) => facts.kind === "activation" && !Number.isNaN(first.clippedShare)),
    ({ all }) => 0.55 * ramp(meanOf(all.slice(-3).map((each) => each.clippedShare)), 0.08, 0.3),
  );
  return findingAt(clipped, layerOfSite, {
    cause: "saturated",
    title: (layers) => `More than a tenth of the values is clipped and gets no gradient in ${layers}`,
    evidence: ({ facts, last }) => [evidence("clipped share", last.clippedShare, 0.1, "above", facts.tensor)],
    remedy: learnRanges,
  });
}

/** What follows from ranges that stay behind the values. */
const behindTheValues = [
  "saturated",
  "dead-weights",
  "dead-channels",
  "saturated-weights",
  "negative-lost",
  "random-start",
  "gradient-mismatch",
  "learning-rate-too-high",
  "learning-rate-too-low",
] as const;

/** Ranges that are too wide, too narrow, or moving. */
export const rangeCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: ["observer-frozen-early"],
  explains: {
    "observer-frozen-early": behindTheValues,
    "observer-too-slow": [...behindTheValues, "range-moving", "outlier-range"],
    "outlier-range": ["gradient-mismatch", "dead-channels", "learning-rate-too-high", "range-moving", "dead-weights"],
  },
  find,
};
