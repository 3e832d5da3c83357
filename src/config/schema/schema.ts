/**
 * The schema of a training configuration: every key, its range and its default.
 *
 * Objects are strict, so a mistyped key is an error and never a silent default. The defaults are those of the recipe
 * that the README measures: SGD with momentum and a cosine schedule. A default that depends on another key (the learning
 * rate on the optimizer, the first layer's bits on the preset) is filled in at the end, in the schema's order of keys,
 * so that one configuration is always written as the same text.
 */

import { z } from "zod";
import { modelNames } from "../../models/names.ts";
import { deviceChoices } from "../../runtime/engine.ts";
import { recomputeChoices } from "../../runtime/job.ts";
import { count, epochRange, fraction } from "./common.ts";
import { dataSchema } from "./data.ts";
import { withFileDefaults } from "./file-defaults.ts";
import { quantization } from "./quantization.ts";

export { bitRange } from "./common.ts";
export { dataNames } from "./data.ts";
export { placementNames, presetChoices } from "./quantization.ts";

/** The ways of lowering a graph; `auto` takes `cpu` where the machine's probe succeeds. */
export const targetNames = ["auto", "generic", "cpu"] as const;

const model = z
  .strictObject({
    name: z.enum(modelNames).exactOptional(),
    /** An ONNX file, instead of a name: the float network to start from. */
    file: z.string().min(1).exactOptional(),
    /** Whether BatchNormalization is put back where the file has it folded into convolutions. Default for a file: true. */
    restoreBatchNorm: z.boolean().exactOptional(),
    /** Removes the quantizers that the file carries. Default: refused where the run would add its own, kept in a float run. */
    stripQuantizers: z.boolean().exactOptional(),
    /** Trains what stands behind an operator without a gradient, and leaves the parameters before it as they are. Default: refused. */
    allowFrozen: z.boolean().exactOptional(),
    /** Keeps the weights of products as [outputs, inputs], so that groups (`granularity: group`) run along the inputs. Default: as stored. */
    weightsByOutput: z.boolean().exactOptional(),
    /** Channels of the first stage; without it, the model's own. */
    width: count.exactOptional(),
    stem: z.enum(["cifar", "imagenet"]).exactOptional(),
  })
  .refine(({ name, file, width, stem }) => file === undefined || (name ?? width ?? stem) === undefined, {
    error: "expected either a file or a name with its width and stem, got both",
  })
  .refine(({ file, restoreBatchNorm }) => file !== undefined || restoreBatchNorm === undefined, {
    error: "expected a model's file with it: the networks that come with subbyte keep their BatchNormalization",
    path: ["restoreBatchNorm"],
  })
  .refine(({ file, stripQuantizers }) => file !== undefined || stripQuantizers === undefined, {
    error: "expected a model's file with it: the networks that come with subbyte have no quantizers",
    path: ["stripQuantizers"],
  })
  .refine(({ file, weightsByOutput }) => file !== undefined || weightsByOutput === undefined, {
    error: "expected a model's file with it: the networks that come with subbyte keep their weights as they are",
    path: ["weightsByOutput"],
  })
  .refine(({ file, allowFrozen }) => file !== undefined || allowFrozen === undefined, {
    error: "expected a model's file with it: every operator of the networks that come with subbyte has a gradient",
    path: ["allowFrozen"],
  })
  .transform(({ name, ...rest }) =>
    rest.file === undefined
      ? { name: name ?? "resnet20", ...rest }
      : { ...rest, restoreBatchNorm: rest.restoreBatchNorm ?? true },
  );

const parameterGroup = z.strictObject({
  learningRateScale: z.number().min(0).default(1),
  /** Overrides the optimizer's own for this group. */
  weightDecay: z.number().min(0).exactOptional(),
});
const undecayedGroup = parameterGroup.extend({ weightDecay: z.number().min(0).default(0) });

const optimizer = z
  .strictObject({
    name: z.enum(["sgd", "adam", "adamw"]).default("sgd"),
    /** Default: 0.05 for sgd, 0.001 for adam and adamw; for a model's file 0.002 and 0.0001. */
    learningRate: z.number().positive().exactOptional(),
    momentum: fraction.default(0.9),
    nesterov: z.boolean().default(false),
    weightDecay: z.number().min(0).default(1e-4),
    /** The largest 2-norm of all gradients together, as torch's clip_grad_norm_ has it; before the decay. Default: no limit. */
    gradientClip: z.number().positive().exactOptional(),
    beta1: fraction.default(0.9),
    beta2: fraction.default(0.999),
    epsilon: z.number().positive().default(1e-8),
    /** By default there is no weight decay on parameters of batch normalization and of quantizers. */
    groups: z
      .strictObject({
        weights: parameterGroup.prefault({}),
        batchNorm: undecayedGroup.prefault({}),
        quantizer: undecayedGroup.prefault({}),
      })
      .prefault({}),
  })
  .refine((value) => !value.nesterov || (value.name === "sgd" && value.momentum > 0), {
    error: "nesterov needs sgd with a momentum above 0",
    path: ["nesterov"],
  })
  .transform(({ name, learningRate, ...rest }) => {
    return { name, learningRate: learningRate ?? (name === "sgd" ? 0.05 : 1e-3), ...rest };
  });

const schedule = z
  .strictObject({
    name: z.enum(["constant", "step", "cosine"]).default("cosine"),
    /** Epochs over which the learning rate rises from 0; may be fractional. Default for a model's file: 1. */
    warmupEpochs: z.number().min(0).default(0),
    /** The same in steps, for a warm-up that does not depend on the size of the data. */
    warmupSteps: z.int().min(0).default(0),
    /** Epochs after which `step` multiplies the learning rate by gamma. Default: after 1/2 and 3/4 of the epochs. */
    milestones: z.array(z.number().positive()).exactOptional(),
    gamma: z.number().positive().max(1).default(0.1),
    /** Final learning rate of `cosine`. */
    finalLearningRate: z.number().min(0).default(0),
  })
  .refine((value) => value.warmupEpochs === 0 || value.warmupSteps === 0, {
    error: "expected either warmupEpochs or warmupSteps, got both",
    path: ["warmupSteps"],
  })
  .refine((value) => (value.milestones ?? []).every((epoch, i, all) => i === 0 || epoch > (all[i - 1] ?? 0)), {
    error: "expected epochs in rising order",
    path: ["milestones"],
  });

const train = z
  .strictObject({
    epochs: count.default(10),
    batchSize: count.default(64),
    optimizer: optimizer.prefault({}),
    schedule: schedule.prefault({}),
    labelSmoothing: fraction.default(0),
    /** Learning from a float network's outputs as well as, or instead of, the labels. */
    distillation: z
      .strictObject({
        ...epochRange,
        /** An ONNX file, a run or a checkpoint; default: what `from` names, else the model's own file. */
        teacher: z.string().min(1).exactOptional(),
        /** For data without labels: what the teacher outputs. Default: detected. */
        outputs: z.enum(["classes", "values"]).exactOptional(),
        temperature: z.number().positive().default(4),
        /** Weight of the teacher in the loss; the labels have the rest. Without labels the teacher is the whole loss. */
        weight: z.number().positive().max(1).default(0.5),
      })
      .exactOptional(),
    /** Batches from which running statistics are estimated again before each evaluation. */
    reestimateBatchNormBatches: count.exactOptional(),
    /** Steps between two checkpoints, in addition to those after each epoch. */
    checkpointEverySteps: count.exactOptional(),
    /** Recompute cheap values in the backward pass instead of storing them. Default: auto, where memory requires it. */
    recompute: z.enum(recomputeChoices).exactOptional(),
  })
  .transform((value) => {
    const { milestones, gamma, finalLearningRate, ...rest } = value.schedule;
    const completed = milestones ?? [value.epochs / 2, (value.epochs * 3) / 4];
    return { ...value, schedule: { ...rest, milestones: completed, gamma, finalLearningRate } };
  });

const trainingConfig = z.strictObject({
  model: model.prefault({}),
  data: dataSchema.prefault({}),
  train: train.prefault({}),
  /** null, or the preset `float`, trains in float. */
  quantization: quantization.nullable().default(null),
  /** JavaScript modules whose default export is a plugin; relative paths resolve against the folder of the file. */
  plugins: z.array(z.string().min(1)).exactOptional(),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0),
  /** Threads of ONNX Runtime; 0 takes one for each core. */
  threads: z.int().min(0).max(1024).default(0),
  /** Device that executes the steps; `auto` takes the fastest that works. */
  device: z.enum(deviceChoices).default("cpu"),
  target: z.enum(targetNames).default("auto"),
  /** A checkpoint, or the folder of a run, whose weights to start from. */
  from: z.string().min(1).exactOptional(),
});

/** The schema of a whole training configuration. */
export const trainingConfigSchema = z.preprocess(withFileDefaults, trainingConfig);

/** Returns the name of a model for tables and file names. */
export function modelTitle(model: TrainingConfig["model"]): string {
  if ("name" in model) return model.name;
  return model.file?.replace(/^.*[\\/]/, "").replace(/\.onnx$/, "") ?? "network";
}

/** A training configuration with every default filled in. */
export type TrainingConfig = z.output<typeof trainingConfigSchema>;
/** The quantization settings of a run that quantizes; `quantizationOf` turns them into a QuantizationConfig. */
export type QuantizationSettings = NonNullable<TrainingConfig["quantization"]>;
