/** Training aids known to make low bits work, and what of them is at work in an epoch. Epochs count from 0 here. */
import type { DistillationConfig } from "../../compile/build/distillation.ts";
import type { ForwardMode } from "../../compile/build/forward.ts";
import { weightsWithoutGrid } from "../../compile/build/oscillation.ts";
import { isQuantized } from "../../compile/sites.ts";
import { ConfigError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";

/** From `fromEpoch` on, and before `untilEpoch` where that is given. */
export interface EpochRange {
  readonly fromEpoch: number;
  readonly untilEpoch?: number;
}

/** The epochs of a distillation and its constants. */
export type Distillation = EpochRange & DistillationConfig;

/** The epochs of dampening and its strength. */
export interface Dampening extends EpochRange {
  /** λ at the end of the range; it rises from 0 along a cosine (arXiv 2203.11086, section 5.1). */
  readonly strength: number;
}

/** The epochs of freezing and its thresholds. */
export interface Freezing extends EpochRange {
  /** Threshold on the oscillation frequency at the start and at the end of the range; it falls along a cosine. */
  readonly startThreshold: number;
  readonly endThreshold: number;
}

/** The changes of a training at given epochs. */
export interface PhaseOptions {
  /** Epochs after which observers no longer move the ranges; absent: never. */
  readonly freezeObserversAfterEpoch?: number;
  /** Epochs after which batch normalization uses its running statistics; absent: never. */
  readonly freezeBatchNormAfterEpoch?: number;
  /** Epochs before which weights, or activations, pass unquantized; absent: 0. */
  readonly quantizeWeightsFromEpoch?: number;
  readonly quantizeActivationsFromEpoch?: number;
  readonly distillation?: Distillation;
  readonly dampening?: Dampening;
  readonly freezing?: Freezing;
  /** Epochs, or a part of one, over which the quantizers' learning rate rises from 0. */
  readonly scaleWarmupEpochs?: number;
  /** Batches over which running statistics are taken again before each evaluation; absent: they stay as they are. */
  readonly reestimateBatchNormBatches?: number;
}

/** Whether a range covers an epoch. */
export function covers(range: EpochRange | undefined, epoch: number): boolean {
  return (
    range !== undefined && epoch >= range.fromEpoch && (range.untilEpoch === undefined || epoch < range.untilEpoch)
  );
}

/** The forward mode of an epoch. */
export function modeOfEpoch(options: PhaseOptions, network: Network, epoch: number): ForwardMode {
  const { freezeObserversAfterEpoch: observers, freezeBatchNormAfterEpoch: batchNorm } = options;
  const sites = isQuantized(network) ? network.sites : [];
  const begins = {
    weight: options.quantizeWeightsFromEpoch ?? 0,
    activation: options.quantizeActivationsFromEpoch ?? 0,
  };
  const bypass = sites.filter((site) => epoch < begins[site.kind]).map((site) => site.id);
  return {
    observe: observers === undefined || epoch < observers,
    fakeQuantize: true,
    batchNorm: batchNorm !== undefined && epoch >= batchNorm ? "running" : "batch",
    ...(bypass.length === 0 ? {} : { bypass }),
  };
}

/**
 * Checks that dampening and freezing have weights to act on.
 *
 * @returns A sentence on the weights that they leave alone; none where there are none.
 * @throws ConfigError where they would act on no weight at all.
 */
export function notesOnOscillation({ dampening, freezing }: PhaseOptions, network: Network): string[] {
  if ((dampening === undefined && freezing === undefined) || !isQuantized(network)) return [];
  const weights = network.sites.filter(({ kind }) => kind === "weight");
  const left = weightsWithoutGrid(weights);
  if (left.length === 0) return [];
  const names = [...new Set(left.map(({ spec }) => spec.quantizer))].join(", ");
  const aids = [...(dampening === undefined ? [] : ["dampening"]), ...(freezing === undefined ? [] : ["freezing"])];
  if (left.length < weights.length) {
    return [
      `${aids.join(" and ")} ${aids.length === 1 ? "leaves" : "leave"} ${left.length} of ${weights.length} weights alone: ${names} has no even grid of codes`,
    ];
  }
  throw new ConfigError(`no weight has an even grid of codes to be held at: they are quantized by ${names}`, {
    where: aids.map((aid) => `quantization.${aid}`).join(", "),
    remedy: "Leave that out, or take a preset with an even grid for weights, such as lsq.",
  });
}

/** Returns the progress of a position in the run through a range, 0 to 1; a range without an end has that of the run. */
function progressIn(range: EpochRange, position: number, epochs: number): number {
  const end = range.untilEpoch ?? epochs;
  return Math.min(1, Math.max(0, (position - range.fromEpoch) / Math.max(end - range.fromEpoch, 1e-9)));
}

/** From `start` to `end` along half a cosine. */
function cosine(start: number, end: number, progress: number): number {
  return end + ((start - end) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** λ of dampening at a position (epochs done, with fraction). */
export function dampeningAt(dampening: Dampening, position: number, epochs: number): number {
  return cosine(0, dampening.strength, progressIn(dampening, position, epochs));
}

/** The threshold of freezing at a position. */
export function thresholdAt(freezing: Freezing, position: number, epochs: number): number {
  return cosine(freezing.startThreshold, freezing.endThreshold, progressIn(freezing, position, epochs));
}

/** The factor of the quantizers' learning rate at a position. */
export function scaleWarmupAt(options: PhaseOptions, position: number): number {
  const { scaleWarmupEpochs = 0 } = options;
  return scaleWarmupEpochs === 0 ? 1 : Math.min(1, position / scaleWarmupEpochs);
}
