/** Faults of the data and the task: nothing that quantization is to blame for. */

import type { RandomStream } from "../../../src/base/random.ts";
import type { RawData, RawPart } from "./data.ts";
import { type FaultKind, graded, type Situation } from "./fault.ts";

const isImage = ({ base }: Situation) => base.data === "fashion" || base.data === "gratings";

function lengthOf({ samples, labels }: RawPart): number {
  return samples.length / labels.length;
}

/** The samples with these numbers. */
function picked(part: RawPart, indices: readonly number[]): RawPart {
  const length = lengthOf(part);
  const samples =
    part.samples instanceof Uint8Array
      ? new Uint8Array(indices.length * length)
      : new Float32Array(indices.length * length);
  indices.forEach((from, to) => {
    samples.set(part.samples.subarray(from * length, (from + 1) * length), to * length);
  });
  return { samples, labels: Int32Array.from(indices, (index) => part.labels[index] ?? 0) };
}

/** Another order of the classes in which none keeps its place. */
function derangement(classes: number, random: RandomStream): number[] {
  const shift = 1 + random.integerBelow(classes - 1);
  return Array.from({ length: classes }, (_, label) => (label + shift) % classes);
}

function withTrain(data: RawData, change: Partial<RawPart>): RawData {
  return { ...data, train: { ...data.train, ...change } };
}

export const dataFaults: readonly FaultKind[] = [
  {
    name: "inputs of 0 to 255 without normalization",
    family: "data",
    causes: ["input-scale", "normalization-differs"],
    isRepairable: true,
    fits: isImage,
    plant: ({ base, learningRate }, _, severity) => {
      const channels = Array.from({ length: base.data === "fashion" ? 1 : 3 });
      const slower = { "train.optimizer.learningRate": severity > 1 ? learningRate / 10 : learningRate };
      return {
        settings: {
          ...slower,
          "data.normalization": { mean: channels.map(() => 0), std: channels.map(() => 1 / 255) },
        },
        reference: slower,
      };
    },
  },
  {
    name: "normalization of another training",
    family: "data",
    causes: ["normalization-differs", "input-scale"],
    isRepairable: true,
    fits: isImage,
    plant: ({ base }, random, severity) => {
      const channels = base.data === "fashion" ? 1 : 3;
      const std = graded(random, severity, 0.08, 0.005);
      return {
        settings: {
          "data.normalization": {
            mean: Array.from({ length: channels }, () => Number((0.3 + 0.6 * random.uniform()).toFixed(3))),
            std: Array.from({ length: channels }, () => std),
          },
          "train.optimizer.learningRate": 0.001,
        },
        reference: { "train.optimizer.learningRate": 0.001 },
      };
    },
  },
  {
    name: "test inputs shifted",
    family: "data",
    causes: ["test-shift"],
    isRepairable: false,
    fits: () => true,
    plant: (_, random, severity) => {
      const factor = graded(random, severity, 1.6, 5);
      const offset = graded(random, severity, 0.3, 3);
      return {
        data: (data) => {
          const { test } = data;
          const isBytes = test.samples instanceof Uint8Array;
          const shift = (value: number) => value * factor + offset * (isBytes ? 60 : 1);
          const samples = isBytes
            ? Uint8Array.from(test.samples, (value) => Math.min(255, Math.round(shift(value))))
            : Float32Array.from(test.samples, shift);
          return { ...data, test: { ...test, samples } };
        },
      };
    },
  },
  {
    name: "test labels in another order",
    family: "data",
    causes: ["test-labels"],
    isRepairable: false,
    fits: () => true,
    plant: () => ({
      data: (data, random) => {
        const order = derangement(data.classes, random);
        return { ...data, test: { ...data.test, labels: data.test.labels.map((label) => order[label] ?? 0) } };
      },
    }),
  },
  {
    name: "noisy labels",
    family: "data",
    causes: ["noisy-labels"],
    isRepairable: false,
    fits: () => true,
    plant: (_, random, severity) => {
      const share = Math.min(0.9, graded(random, severity, 0.3, 0.9));
      return {
        data: (data, stream) =>
          withTrain(data, {
            labels: data.train.labels.map((label) =>
              stream.uniform() < share ? stream.integerBelow(data.classes) : label,
            ),
          }),
      };
    },
  },
  {
    name: "imbalanced classes",
    family: "data",
    causes: ["class-imbalance", "missing-classes"],
    isRepairable: false,
    fits: () => true,
    plant: (_, random, severity) => {
      const keep = 1 / graded(random, severity, 15, 150);
      return {
        data: (data, stream) => {
          const indices = Array.from(data.train.labels, (label, index) => ({ label, index }))
            .filter(({ label }) => label === 0 || stream.uniform() < keep)
            .map(({ index }) => index);
          const repeated = Array.from({ length: 1536 }, (_, i) => indices[i % indices.length] ?? 0);
          return { ...data, train: picked(data.train, repeated) };
        },
      };
    },
  },
  {
    name: "augmentation too strong",
    family: "data",
    causes: ["augmentation-too-strong"],
    isRepairable: true,
    fits: isImage,
    plant: (_, random, severity) => ({
      settings: { "data.crop": Math.round(graded(random, severity, 10, 28)) },
    }),
  },
  {
    name: "training samples in too few classes",
    family: "data",
    causes: ["missing-classes", "class-imbalance"],
    isRepairable: false,
    fits: () => true,
    plant: (_, random, severity) => {
      const missing = 1 + Math.min(severity, 2) + random.integerBelow(2);
      return {
        data: (data) => {
          const indices = Array.from(data.train.labels, (label, index) => ({ label, index }))
            .filter(({ label }) => label >= missing)
            .map(({ index }) => index);
          return { ...data, train: picked(data.train, indices) };
        },
      };
    },
  },
  {
    name: "a teacher with the classes in another order",
    family: "data",
    causes: ["wrong-teacher"],
    isRepairable: true,
    fits: () => true,
    plant: (_, random, severity) => ({
      settings: { "train.distillation": { weight: Math.min(1, graded(random, severity, 0.7, 1)), temperature: 4 } },
      teacher: "other labels",
      reference: { "train.distillation": null },
    }),
  },
  {
    name: "a teacher that is hardly trained",
    family: "data",
    causes: ["wrong-teacher"],
    isRepairable: true,
    fits: () => true,
    plant: (_, random, severity) => ({
      settings: { "train.distillation": { weight: Math.min(1, graded(random, severity, 0.7, 1)), temperature: 2 } },
      teacher: "hardly trained",
      reference: { "train.distillation": null },
    }),
  },
];
