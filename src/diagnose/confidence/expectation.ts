/**
 * How much accuracy a quantized run may be expected to lose, and how much it lost. A run within its expected distance of float
 * is healthy, whatever its measurements look like.
 */

import type { Facts } from "../facts.ts";
import { ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";

/** The accuracies of a run next to those that were to be expected. */
export interface Shortfall {
  /** The accuracy in float: that of the run that this one began with, else of the trained weights without quantizers. */
  readonly float: number;
  readonly reached: number;
  /** Accuracy that the bits may be expected to cost. */
  readonly expectedLoss: number;
  /** Two standard errors of the difference of both accuracies on the test samples. */
  readonly noise: number;
  /** What is missing beyond both; below 0 where the run is as good as can be expected. */
  readonly missing: number;
}

/**
 * Accuracy that quantizers of these bits cost a network which is trained well, by the fewest bits of its inner layers: three quarters
 * of the healthy runs of bench/diagnosis/battery.ts, seeds 1 to 3, lost less. Networks with narrow layers lose more, as
 * MobileNetV2 does on ImageNet (arXiv 2203.11086).
 */
const losses: readonly (readonly [bits: number, loss: number, narrowLoss: number])[] = [
  [1, 0.15, 0.25],
  [2, 0.08, 0.2],
  [3, 0.045, 0.07],
  [4, 0.02, 0.03],
  [8, 0.007, 0.01],
];

/** Share of narrow layers from which on a network counts as one of them: every second to third layer of a MobileNet is depthwise. */
const narrowNetwork = 0.2;

/** Whether much of a network is of layers whose outputs sum few products. */
export function isNarrow({ narrowShare = 0 }: Pick<Facts, "narrowShare">): boolean {
  return narrowShare >= narrowNetwork;
}

/** Test samples that an accuracy was measured on; 1000 where that is not known. */
export function testSamplesOf({ data, examination }: Pick<DiagnosisInput, "data" | "examination">): number {
  return data?.test.count ?? examination?.test.samples ?? 1000;
}

/** Returns the shortfall of a run; undefined where its accuracy or that of float is not known. */
export function shortfallOf(input: DiagnosisInput): Shortfall | undefined {
  const { facts, history, examination, epochs } = input;
  const reached = epochs?.at(-1)?.testAccuracy ?? examination?.test.quantized.accuracy;
  const float = history?.accuracy ?? examination?.test.float.accuracy;
  if (reached === undefined || float === undefined) return undefined;
  const samples = testSamplesOf(input);
  // Both are measured on the same samples, so that half of the variance of the difference cancels.
  const noise = 2 * Math.sqrt(Math.max(0.02, float * (1 - float)) / samples);
  const expectedLoss = expectedLossOf(facts);
  return { float, reached, expectedLoss, noise, missing: float - reached - expectedLoss - noise };
}

/** Returns the accuracy that the bits of a network may be expected to cost. */
export function expectedLossOf(facts: Pick<Facts, "sites" | "narrowShare">): number {
  const { sites } = facts;
  const inner = sites.filter(({ edge }) => edge === undefined);
  if (inner.length === 0) return 0;
  // One layer with few bits is a fault rather than a choice: the usual bits count.
  const usual = (kind: "weight" | "activation") => {
    const bits = inner.filter((site) => site.kind === kind).map((site) => site.bits);
    return mostCommon(bits) ?? 8;
  };
  const fewest = Math.min(usual("weight"), usual("activation"));
  return lossOfBits(fewest, isNarrow(facts));
}

/**
 * Returns the accuracy that quantizers of these bits may be expected to cost.
 *
 * @param narrow Whether it is a network of narrow layers; see {@link isNarrow}.
 */
export function lossOfBits(bits: number, narrow: boolean): number {
  return losses.find(([most]) => bits <= most)?.[narrow ? 2 : 1] ?? 0;
}

/** The part of a run that most of its loss is in. */
export type LossSide = "weights" | "activations" | "both" | "statistics" | "neither";

/** The parts of a run's loss, in accuracy on the examined test samples. */
export interface LossParts {
  readonly side: LossSide;
  /** What the quantizers of the weights alone cost, and those of the activations alone. */
  readonly weights: number;
  readonly activations: number;
  /** The accuracy of the same weights without quantizers, and of the run with statistics of batch normalization estimated again. */
  readonly withoutQuantizers: number;
  readonly reestimated: number;
}

/** A side counts alone where it costs this multiple of the other. */
const clearlyMore = 1.5;

/**
 * Returns the parts of a run's loss; undefined where it was not examined, or no accuracy of float is known.
 *
 * @example
 * console.log(lossParts({ facts, records: [] })); // undefined: nothing was examined
 */
export function lossParts(input: DiagnosisInput): LossParts | undefined {
  const { examination } = input;
  const shortfall = shortfallOf(input);
  if (examination === undefined || shortfall === undefined) return undefined;
  const { quantized, reestimated, float } = examination.test;
  const weights = float.accuracy - examination.weightsOnly.accuracy;
  const activations = float.accuracy - examination.activationsOnly.accuracy;
  const training = shortfall.float - float.accuracy;
  const statistics = reestimated.accuracy - quantized.accuracy;
  const quantizers = float.accuracy - reestimated.accuracy;
  const accuracies = { withoutQuantizers: float.accuracy, reestimated: reestimated.accuracy };
  const of = (side: LossSide): LossParts => ({ side, weights, activations, ...accuracies });
  if (training >= Math.max(statistics, quantizers)) return of("neither");
  if (statistics >= quantizers) return of("statistics");
  if (weights > clearlyMore * activations) return of("weights");
  return of(activations > clearlyMore * weights ? "activations" : "both");
}

function mostCommon(values: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

/**
 * 0 to 1: whether the network answers its training samples, with quantizers or without, so that what it began with cost it little; 0
 * where it was not examined.
 */
export function fitOf({ examination }: DiagnosisInput): number {
  const { quantized, float } = examination?.train ?? {};
  return ramp(Math.max(quantized?.accuracy ?? 0, float?.accuracy ?? 0), 0.75, 0.9);
}

/**
 * 0 to 1: whether a run without a float run behind it looks as if it missed nothing: it answers its training samples, the test samples
 * nearly as well, and as well with quantizers as without.
 */
function looksWell(input: DiagnosisInput): number {
  const { train, test } = input.examination ?? {};
  if (train === undefined || test === undefined) return 0;
  const behind = train.quantized.accuracy - test.quantized.accuracy;
  const cost = test.float.accuracy - test.quantized.accuracy;
  return fitOf(input) * ramp(behind, 0.25, 0.12) * ramp(cost, 0.04, 0.01);
}

/**
 * Returns the factor on the confidence of every finding: 1 where the run misses accuracy, below that of high confidence where it
 * has what can be expected.
 */
export function weightOfShortfall(input: DiagnosisInput): number {
  // Without a float run the weights themselves without quantizers are all that is known, and what spoiled the training
  // spoiled them too.
  if (input.history === undefined) return 1 - 0.45 * looksWell(input);
  const shortfall = shortfallOf(input);
  return shortfall === undefined ? 1 : 0.55 + 0.45 * ramp(shortfall.missing, 0.005, 0.025);
}
