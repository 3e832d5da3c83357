/**
 * Defaults of a training whose model is a file. Its weights are trained already: the rate that suits random ones destroys them, and
 * images with black borders or mirrored ones, which it may never have seen, cost accuracy. docs/own-model.md has the measurement behind the values,
 * bench/pretrained.ts repeats it.
 */
import { isMapping, type Mapping } from "../mapping.ts";

/** The learning rate of `sgd` where the weights come from a file. */
const learningRate = 0.002;
/** The learning rate of `adam` and `adamw` there. */
const adaptiveLearningRate = 1e-4;
/** Epochs over which the rate rises, so that the first steps, whose momentum has no past, are small. */
const warmupEpochs = 1;
/** No random crop, which fills borders with black, and no mirroring, which turns a shoe or a letter round. */
const augmentation = { crop: 0, flip: false };

/** Returns a configuration, not yet checked, with the defaults of a model's file where its own keys are absent. */
export function withFileDefaults(root: unknown): unknown {
  if (!isMapping(root) || !isMapping(root.model) || root.model.file === undefined) return root;
  const train = mappingOr(root.train);
  const data = mappingOr(root.data);
  const optimizer = mappingOr(train?.optimizer);
  const schedule = mappingOr(train?.schedule);
  if (train === undefined || data === undefined || optimizer === undefined || schedule === undefined) return root;
  const isAdaptive = optimizer.name !== undefined && optimizer.name !== "sgd";
  const rate = isAdaptive ? adaptiveLearningRate : learningRate;
  const hasWarmup = schedule.warmupEpochs !== undefined || schedule.warmupSteps !== undefined;
  return {
    ...root,
    data: { ...augmentation, ...data },
    train: {
      ...train,
      optimizer: { ...optimizer, learningRate: optimizer.learningRate ?? rate },
      schedule: hasWarmup ? schedule : { ...schedule, warmupEpochs },
    },
  };
}

/** Returns a mapping, an empty one where there is none, and undefined for anything else, which the schema refuses. */
function mappingOr(value: unknown): Mapping | undefined {
  if (value === undefined) return {};
  return isMapping(value) ? value : undefined;
}
