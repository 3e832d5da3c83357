/** What a fault of the battery is: a change of a run that was healthy, with the causes that name it. */

import type { RandomStream } from "../../../src/base/random.ts";
import type { CauseName } from "../../../src/diagnose/diagnose.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import type { RawData } from "./data.ts";
import type { Base, Settings } from "./networks.ts";

/** A run before anything was broken in it. */
export interface Situation {
  readonly base: Base;
  readonly preset: string;
  readonly weightBits: number;
  readonly activationBits: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly batchSize: number;
  /** Layers with weights, first to last, and the shapes of the weights. */
  readonly layers: readonly { readonly name: string; readonly weight: string; readonly shape: readonly number[] }[];
  /** What the float run normalizes samples with: one number for each channel. */
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** Normalizations that one layer alone reads, through a ReLU: what one multiplies by the other may divide by. */
  readonly links: readonly { readonly scale: string; readonly shift: string; readonly weight: string }[];
}

/** The weights that a run begins with, by name. */
export type Weights = ReadonlyMap<string, Tensor>;

/** What a fault changes. */
export interface Planted {
  /** Settings of the configuration; null removes one. */
  readonly settings?: Settings;
  /** Writes the model's file of the run, and returns the settings that name it. */
  readonly model?: (folder: string, seed: number) => Settings;
  /** The data that the run reads. */
  readonly data?: (data: RawData, random: RandomStream) => RawData;
  /** The float weights that the run begins with. */
  readonly weights?: (weights: Weights, random: RandomStream) => Weights;
  /** Settings of the run without the fault, where that is another one than the healthy run; `from: null` begins at random weights. */
  readonly reference?: Settings;
  /** Where the run begins, if not with the float run. */
  readonly start?: "random" | "hardly trained";
  /** The teacher of a distillation. */
  readonly teacher?: "other labels" | "hardly trained";
}

/** A kind of fault. */
export interface FaultKind {
  readonly name: string;
  readonly family: "optimization" | "scales" | "quantizers" | "network" | "data" | "capacity";
  /** The causes any of which is the right answer. */
  readonly causes: readonly CauseName[];
  /** Whether a change of the configuration repairs it. */
  readonly isRepairable: boolean;
  readonly fits: (situation: Situation) => boolean;
  /** @param severity 0 to 3, from mild to strong; a run that loses less than 3 points is tried with the next one. */
  readonly plant: (situation: Situation, random: RandomStream, severity: number) => Planted;
}

/** The strongest severity. */
export const strongest = 3;

/** A number between two others on a logarithmic scale that rises with the severity, with some chance. */
export function graded(random: RandomStream, severity: number, mild: number, strong: number): number {
  const share = Math.min(1, (severity + random.uniform()) / (strongest + 1));
  return Number((mild * (strong / mild) ** share).toPrecision(3));
}

/** One of several values. */
export function oneOf<Value>(random: RandomStream, values: readonly [Value, ...Value[]]): Value {
  return values[random.integerBelow(values.length)] ?? values[0];
}

/**
 * Settings of a training from random weights, as long and as fast as that of the float network. A fault that needs such a start
 * has them in its reference too, so that only the fault's own harm counts.
 */
export function fromScratch({ base }: Situation): Settings {
  return { from: null, "train.epochs": base.float.epochs, "train.optimizer.learningRate": base.float.learningRate };
}

/** Networks whose training from random weights takes seconds, not minutes. */
export function isQuickFromScratch({ base }: Situation): boolean {
  return base.family !== "transformer" && base.family !== "depthwise";
}

/** Presets whose quantizers take any number of bits, of values with a sign too. */
export const anyBitsPresets: readonly string[] = ["lsq", "lsq+", "ewgs", "minmax", "thread"];

/** Presets whose scales are trained by gradients. */
export const learnedPresets: readonly string[] = ["lsq", "lsq+", "ewgs", "tqt"];

/** Presets whose activations have observers. */
export const observedPresets: readonly string[] = ["minmax", "thread"];
