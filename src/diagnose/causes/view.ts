/** The measurements of a run, seen by tensor. */

import { mean, median } from "../../base/statistics.ts";
import { advisedPresets } from "../../qconfig/presets.ts";
import type { Evidence, Remedy } from "../../runs/finding.ts";
import type { Facts, SiteFacts } from "../facts.ts";
import { type CauseFinding, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import type { ProbeRecord, SiteMeasurement } from "../probe/measurement.ts";

/** One quantizer: what is known of it, and what was measured, in order. */
export interface SiteView {
  readonly facts: SiteFacts;
  readonly first: SiteMeasurement;
  readonly last: SiteMeasurement;
  readonly all: readonly SiteMeasurement[];
}

/** The sites of each record by name: a long run has many records, and many rules ask for its sites. */
const sitesByName = new WeakMap<ProbeRecord, ReadonlyMap<string, SiteMeasurement>>();

function siteIn(record: ProbeRecord, name: string): SiteMeasurement | undefined {
  const known = sitesByName.get(record) ?? new Map(record.sites.map((site) => [site.name, site]));
  sitesByName.set(record, known);
  return known.get(name);
}

/** Every quantizer that was measured at least once. */
export function sitesOf({ facts, records }: DiagnosisInput): SiteView[] {
  return facts.sites.flatMap((site) => {
    const all = records.flatMap((record) => siteIn(record, site.name) ?? []);
    const first = all[0];
    const last = all.at(-1);
    return first === undefined || last === undefined ? [] : [{ facts: site, first, last, all }];
  });
}

/** The records of the end of a run, over which noisy measurements are averaged. */
export function latest(records: readonly ProbeRecord[], count = 4): readonly ProbeRecord[] {
  return records.slice(-count);
}

/** The mean of the numbers that were measured; NaN when none was. */
export function meanOf(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? Number.NaN : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/**
 * The factor of the confidence in causes that would cost accuracy: below that of high confidence where the loss of the last probes
 * is that of the same weights in float, so that there is nothing to win back: within a tenth, or within two standard errors of the
 * differences, because a probe sees few samples.
 */
export function weightOfLoss({ records }: DiagnosisInput): number {
  const recent = latest(records.filter(({ step }) => step > 0));
  const loss = meanOf(recent.map((record) => record.loss));
  const floatLoss = meanOf(recent.map((record) => record.floatLoss));
  const differences = recent.map((record) => record.loss - record.floatLoss).filter(Number.isFinite);
  const noise = 2 * standardError(differences);
  return loss - floatLoss <= Math.max(0.1 * floatLoss, noise) ? 0.6 : 1;
}

/** The standard error of a mean; 0 where one number gives none. */
function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  const squares = values.map((value) => (value - middle) ** 2);
  return Math.sqrt(mean(squares) / (values.length - 1));
}

/** Whether most weights of a tensor lie outside of its grid. */
export function hasClippedWeights({ facts }: SiteView, measured: SiteMeasurement): boolean {
  return facts.kind === "weight" && facts.levels > 2 && measured.clippedShare > 0.3;
}

/** Whether one scale covers channels of weights that differ so much that the small ones are lost. */
export function isUneven({ facts }: SiteView, measured: SiteMeasurement): boolean {
  return (
    facts.kind === "weight" &&
    !facts.perChannel &&
    measured.channelDisparity > 8 &&
    (measured.sqnr < 12 || measured.deadShare > 0.6)
  );
}

/**
 * 0 to 1: how many of the inner layers had weights, before the first step, that their grid cannot hold. What the training does to
 * such a network is none of the learning rate's. In the battery no healthy run has such a layer.
 */
export function damageAtStart(sites: readonly SiteView[], { records: [start] }: DiagnosisInput): number {
  const weights = sites.filter(({ facts }) => facts.kind === "weight" && facts.edge === undefined);
  if (start?.step !== 0 || weights.length === 0) return 0;
  const damaged = weights.filter((view) => hasClippedWeights(view, view.first) || isUneven(view, view.first));
  return ramp(damaged.length / weights.length, 0.1, 0.4);
}

/** Whether a tensor is stored between layers, with bits of a setting of their own (`residualBits`). */
export function isStored({ kind, layer, bits }: SiteFacts, { sites, settings }: Facts): boolean {
  if (kind === "weight" || settings?.quantization?.residualBits !== bits) return false;
  return !sites.some((other) => other.kind === "weight" && other.layer === layer);
}

/** The number that more than half of some have; NaN where none is so common. */
function commonest(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const each of numbers) counts.set(each, (counts.get(each) ?? 0) + 1);
  const [most, count] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [Number.NaN, 0];
  return count > numbers.length / 2 ? most : Number.NaN;
}

/**
 * Bits that a kind of inner tensor usually has: those of the configuration, if at least a quarter has them; else those that most
 * have, of few inner layers the first and the last one included; NaN where none are usual.
 */
export function usualBits(facts: Facts, kind: "weight" | "activation"): number {
  const sites = facts.sites.filter((site) => site.kind === kind && !isStored(site, facts));
  const inner = sites.filter(({ edge }) => edge === undefined).map(({ bits }) => bits);
  const configured = facts.settings?.quantization?.[kind === "weight" ? "weightBits" : "activationBits"];
  const asConfigured = inner.filter((bits) => bits === configured).length;
  if (configured !== undefined && asConfigured > 0 && 4 * asConfigured >= inner.length) return configured;
  // Of one or two layers none is usual.
  return commonest(inner.length < 3 ? sites.map(({ bits }) => bits) : inner);
}

/** How far the weights are from where the run began, at a probe: the median of ‖w − w₀‖/‖w₀‖ over the layers; NaN where there are none. */
export function wayOf(record: Pick<ProbeRecord, "weights"> | undefined): number {
  return median(record?.weights.map(({ distance }) => distance) ?? []);
}

/** The way that weights usually go over a run, or further: of 2 and 3 bits they have to go further than of more. */
export function usualWay(facts: Facts): number {
  return Math.min(usualBits(facts, "weight"), usualBits(facts, "activation")) <= 3 ? 0.09 : 0.045;
}

/** Share of the run that is done, 0 to 1; 1 where its length is not known. */
export function progressOf({ facts, records }: DiagnosisInput): number {
  const epochs = facts.recipe?.epochs;
  const last = records.at(-1);
  return epochs === undefined || last === undefined ? 1 : Math.min(1, last.epoch / epochs);
}

/** A score for a place, and the place. */
export interface Scored<Place> {
  readonly place: Place;
  readonly score: number;
}

/** The places that score at least half of the best, best first. */
export function worst<Place>(places: readonly Place[], score: (place: Place) => number): Scored<Place>[] {
  const scored = places.map((place) => ({ place, score: score(place) })).filter((each) => each.score > 0);
  const best = Math.max(0, ...scored.map((each) => each.score));
  return scored.filter((each) => each.score >= best / 2).sort((a, b) => b.score - a.score);
}

/** The parts of a finding that differ from cause to cause. */
interface FindingParts<Place, Cause extends string> {
  readonly cause: Cause;
  /** From the layers in words and the worst place. */
  readonly title: (layers: string, worst: Place) => string;
  readonly evidence: (place: Place) => readonly Evidence[];
  /** Evidence about the whole network, after that of the places. */
  readonly more?: readonly Evidence[];
  readonly remedy: Remedy | null;
}

/** Returns the finding at the places that score worst, with the evidence of the first three; none where no place scores. */
export function findingAt<Place, Cause extends string>(
  scored: readonly Scored<Place>[],
  layerOf: (place: Place) => string,
  { cause, title, evidence, more = [], remedy }: FindingParts<Place, Cause>,
): CauseFinding<Cause>[] {
  const [first] = scored;
  if (first === undefined) return [];
  const layers = [...new Set(scored.map(({ place }) => layerOf(place)))];
  return [
    {
      cause,
      title: title(listed(layers), first.place),
      layers,
      evidence: [...scored.slice(0, 3).flatMap(({ place }) => evidence(place)), ...more],
      confidence: first.score,
      remedy,
    },
  ];
}

/** The layer of a quantizer, for {@link findingAt}. */
export function layerOfSite({ facts }: { readonly facts: SiteFacts }): string {
  return facts.layer;
}

/** Names without repetition, in order. */
export function viewedLayers(views: readonly { readonly facts: SiteFacts }[]): string[] {
  return [...new Set(views.map(({ facts }) => facts.layer))];
}

/**
 * Learned ranges instead of observed ones. A preset is a whole: its placement and its bits at the ends come with it, and
 * the halving of codes goes with the observers.
 */
export const learnRanges: Remedy = {
  title: "learn the ranges (preset lsq: fused, first and last layer at 8 bits)",
  changes: { "quantization.preset": advisedPresets.learnedRanges, "quantization.reduceRange": false },
};

/** `conv1, conv2 and 3 more`. */
export function listed(names: readonly string[], most = 2): string {
  if (names.length <= most) return names.join(" and ");
  return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}
