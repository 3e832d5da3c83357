/** Samples as the inputs of a graph read them: normalized, cut apart, or as whole numbers of the type that each has. */
import type { Dataset } from "../../data/dataset/dataset.ts";
import { normalize } from "../../data/normalization/normalization.ts";
import { ConfigError } from "../../errors.ts";
import type { Value } from "../../ir/graph.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { cutFromRows } from "../formats/feeds.ts";

/**
 * Returns the feeds of a graph's inputs for some samples of a batch. Floats are normalized where the data set has a normalization.
 *
 * @param inputs Of the graph; several are found by their names in the data.
 * @throws ConfigError for an input that the data has no values for, or of a type that they cannot have.
 */
export function inputFeeds(
  inputs: readonly Value[],
  batch: Tensor,
  dataset: Dataset,
  first: number,
  count: number,
): Record<string, Tensor> {
  const where = `data set "${dataset.name}"`;
  const { data } = batch;
  if (!(data instanceof Uint8Array || data instanceof Float32Array || data instanceof Int32Array)) {
    throw new ConfigError(`samples of ${batch.dtype} cannot be compared`, { where });
  }
  const length = elementCount(dataset.sampleShape);
  const rows = data.subarray(first * length, (first + count) * length);
  return Object.fromEntries(
    inputs.map(({ name, type: { dtype } }) => {
      const part = dataset.inputs?.find((one) => one.name === name);
      if (dataset.inputs !== undefined && part === undefined) {
        throw new ConfigError(`there are no values for the input ${name}`, { where });
      }
      if (part === undefined && dataset.sampleType !== "int32") {
        const shape = [count, ...dataset.sampleShape];
        if (dtype !== "float32") return [name, makeTensor(dataset.sampleType, shape, rows)];
        const normalized = new Float32Array(rows.length);
        normalize(rows, dataset.sampleShape, dataset.normalization, normalized);
        return [name, makeTensor("float32", shape, normalized)];
      }
      const { shape, start } = part ?? { shape: dataset.sampleShape, start: 0 };
      return [name, cutFromRows(rows, length, { shape, start, dtype })];
    }),
  );
}
