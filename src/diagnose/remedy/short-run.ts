/** Short trainings: the configuration of a run with fewer steps, everything in it that counts epochs moved along. */

import type { TrainingConfig } from "../../config/schema/schema.ts";

/** The length of a short training. */
export interface ShortLength {
  readonly epochs: number;
  /** Training samples, where an epoch is longer than the short training. */
  readonly trainLimit?: number;
  /** Steps of it at the run's batch size. */
  readonly steps: number;
}

const leastSteps = 50;
const shareOfRun = 0.2;

/**
 * Returns the length of a short training: a fifth of the run's steps, at least 50.
 *
 * @param samples Training samples of the run.
 *
 * @example
 * console.log(shortLength({ samples: 640, batchSize: 64, epochs: 20 })); // { epochs: 5, steps: 50 }
 */
export function shortLength(run: {
  readonly samples: number;
  readonly batchSize: number;
  readonly epochs: number;
}): ShortLength {
  const { samples, batchSize, epochs } = run;
  const perEpoch = Math.max(1, Math.floor(samples / batchSize));
  const steps = Math.max(leastSteps, Math.ceil(shareOfRun * perEpoch * epochs));
  if (perEpoch > steps) return { epochs: 1, trainLimit: steps * batchSize, steps };
  const short = Math.ceil(steps / perEpoch);
  return { epochs: short, steps: short * perEpoch };
}

/** Returns a configuration at another length: warm-up, milestones and the epochs of the quantizers keep their share of it. */
export function atLength(config: TrainingConfig, { epochs, trainLimit }: ShortLength): TrainingConfig {
  const { data, train, quantization } = config;
  const { schedule, distillation } = train;
  const ratio = epochs / train.epochs;
  const range = <Aid extends { readonly fromEpoch: number; readonly untilEpoch?: number }>(aid: Aid): Aid => ({
    ...aid,
    fromEpoch: Math.round(aid.fromEpoch * ratio),
    ...(aid.untilEpoch === undefined ? {} : { untilEpoch: Math.max(1, Math.round(aid.untilEpoch * ratio)) }),
  });
  return {
    ...config,
    data: trainLimit === undefined ? data : { ...data, trainLimit },
    train: {
      ...train,
      epochs,
      schedule: {
        ...schedule,
        warmupEpochs: schedule.warmupEpochs * ratio,
        warmupSteps: Math.round(schedule.warmupSteps * ratio),
        milestones: schedule.milestones.map((epoch) => epoch * ratio),
      },
      ...(distillation === undefined ? {} : { distillation: range(distillation) }),
    },
    quantization: quantization === null ? null : shortQuantization(quantization, ratio, range),
  };
}

type Settings = NonNullable<TrainingConfig["quantization"]>;
type Range = <Aid extends { readonly fromEpoch: number; readonly untilEpoch?: number }>(aid: Aid) => Aid;

/** Epochs that settings of the quantizers count from. */
const epochKeys = [
  "quantizeWeightsFromEpoch",
  "quantizeActivationsFromEpoch",
  "freezeObserversAfterEpoch",
  "freezeBatchNormAfterEpoch",
] as const;

function shortQuantization({ stages: _stages, ...settings }: Settings, ratio: number, range: Range): Settings {
  const { dampening, freezing, scaleWarmupEpochs } = settings;
  const epochs = epochKeys.flatMap((key) => {
    const value = settings[key];
    return value === undefined ? [] : [[key, Math.round(value * ratio)] as const];
  });
  return {
    ...settings,
    ...Object.fromEntries(epochs),
    ...(dampening === undefined ? {} : { dampening: range(dampening) }),
    ...(freezing === undefined ? {} : { freezing: range(freezing) }),
    ...(scaleWarmupEpochs === undefined ? {} : { scaleWarmupEpochs: scaleWarmupEpochs * ratio }),
  };
}
