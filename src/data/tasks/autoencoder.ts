/** Samples as their own targets. Labels that tell normal samples from anomalies are kept for the metric. */
import { ConfigError } from "../../errors.ts";
import {
  allocateBatch,
  type Batch,
  checkBatch,
  type Dataset,
  type LabelType,
  makeTargets,
} from "../dataset/dataset.ts";

/** Samples that are read at once to see which labels there are. */
const readAtOnce = 256;

/** The samples as their own targets, and what is said of their labels. */
export interface Reconstructed {
  readonly dataset: Dataset;
  readonly notes: readonly string[];
}

/**
 * Returns the data set with its samples as targets.
 *
 * @param isTest Whether labels of two classes, both of which occur, are kept: class 1 is the anomaly.
 * @throws ConfigError for whole numbers and several inputs, which have no distance from a network's output.
 */
export async function reconstructed(dataset: Dataset, isTest: boolean): Promise<Reconstructed> {
  if (dataset.sampleType === "int32" || dataset.inputs !== undefined) {
    throw new ConfigError("the task autoencoder needs samples of one input of floats or bytes", {
      where: `data set "${dataset.name}"`,
      remedy: "For tokens there are the tasks maskedTokens and nextToken.",
    });
  }
  const { target } = dataset;
  const isPair = target.kind === "classes" && target.classes.length === 2;
  const hasAnomalies = isTest && isPair && (await hasBoth(dataset));
  const own: LabelType = { kind: "input", hasAnomalies };
  const read = (source: Dataset["readBatch"], shape?: readonly number[]): Dataset["readBatch"] => {
    return (indices, into, draw) => {
      checkBatch(made, indices, into, shape);
      const targets = hasAnomalies ? into.targets : makeTargets(target, indices.length);
      source(indices, { samples: into.samples, targets }, draw);
    };
  };
  const { wide } = dataset;
  const made: Dataset = {
    ...dataset,
    target: own,
    readBatch: read(dataset.readBatch),
    ...(wide === undefined
      ? {}
      : {
          wide: {
            ...wide,
            readBatch: (indices: Int32Array, into: Batch) => read(wide.readBatch, wide.shape)(indices, into),
          },
        }),
  };
  if (!isTest) return { dataset: made, notes: [] };
  if (hasAnomalies && target.kind === "classes") {
    const [normal, anomaly] = target.classes;
    return {
      dataset: made,
      notes: [`class "${anomaly}" is the anomaly and "${normal}" normal: the metric is the AUC`],
    };
  }
  const without =
    target.kind === "classes"
      ? "the labels are not used: they are not of two classes, both in the test part"
      : undefined;
  return { dataset: made, notes: without === undefined ? [] : [without] };
}

async function hasBoth(dataset: Dataset): Promise<boolean> {
  const seen = new Set<number>();
  const size = Math.min(readAtOnce, dataset.count);
  const batch = allocateBatch(dataset, size);
  for (let first = 0; first < dataset.count && seen.size < 2; first += size) {
    const indices = Int32Array.from({ length: Math.min(size, dataset.count - first) }, (_, i) => first + i);
    await dataset.prefetch?.(indices);
    dataset.readBatch(indices, batch);
    for (const label of batch.targets.subarray(0, indices.length)) seen.add(label);
  }
  return seen.size === 2;
}
