/** A few samples of a data set, spread evenly over it, so that data sorted by class shows all of its classes. */

import { checkBatch, type Dataset } from "../data/dataset/dataset.ts";

/** Returns at most `count` samples at equal distances, as a data set with the same normalization. */
export function spacedSamples(dataset: Dataset, count: number): Dataset {
  if (dataset.count <= count) return dataset;
  const { prefetch } = dataset;
  const stride = dataset.count / count;
  const places = (indices: Int32Array) => indices.map((index) => Math.floor(index * stride));
  const { wide: _wide, sampleName: _name, prefetch: _prefetch, ...rest } = dataset;
  const part: Dataset = {
    ...rest,
    count,
    readBatch(indices, into) {
      checkBatch(part, indices, into);
      dataset.readBatch(places(indices), into);
    },
    ...(prefetch === undefined ? {} : { prefetch: (indices, signal) => prefetch(places(indices), signal) }),
  };
  return part;
}
