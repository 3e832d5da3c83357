/** Whether any position of a data set counts in the loss of a network: without one there is nothing to learn, and no word of it. */
import { denseLayout } from "../../compile/build/dense.ts";
import { allocateBatch, type Dataset, type TargetArray } from "../../data/dataset/dataset.ts";
import { type BoxTarget, boxesIn } from "../../data/tasks/boxes.ts";
import { ConfigError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import { elementCount } from "../../ir/types.ts";

const readAtOnce = 64;

/** Reads a data set in order, some samples at a time; the next ones overwrite the buffers. */
async function* parts(dataset: Dataset): AsyncGenerator<{ readonly targets: TargetArray; readonly count: number }> {
  const size = Math.min(readAtOnce, dataset.count);
  const batch = allocateBatch(dataset, size);
  for (let first = 0; first < dataset.count; first += size) {
    const indices = Int32Array.from({ length: Math.min(size, dataset.count - first) }, (_, i) => first + i);
    await dataset.prefetch?.(indices);
    dataset.readBatch(indices, batch);
    yield { targets: batch.targets, count: indices.length };
  }
}

/** @throws ConfigError where every class of a position that the network scores is one to ignore. */
export async function checkPositionsCount(network: Network, dataset: Dataset): Promise<void> {
  const { target } = dataset;
  if (target.kind === "boxes") return checkBoxesThere(dataset, target);
  const output = network.graph.outputs[0]?.value.type.shape.slice(1) ?? [];
  const layout = target.kind === "dense" ? denseLayout(output, target.shape) : undefined;
  if (target.kind !== "dense" || layout === undefined) return;
  const count = elementCount(target.shape);
  for await (const part of parts(dataset)) {
    const labels = part.targets.subarray(0, part.count * count);
    if (labels.some((label, i) => label >= 0 && (!layout.isLastOnly || i % count === count - 1))) return;
  }
  throw new ConfigError("no position has a class that counts", {
    where: `data set "${dataset.name}"`,
    remedy: layout.isLastOnly
      ? `The model scores the token after the last one: give ${count + 1} tokens for each sample, not ${count}.`
      : "Check data.ignoreIndex and the labels.",
  });
}

/** @throws ConfigError where no image has a box: there is nothing to find, and no average precision. */
async function checkBoxesThere(dataset: Dataset, target: BoxTarget): Promise<void> {
  for await (const { targets, count } of parts(dataset)) {
    for (let sample = 0; sample < count; sample++) {
      if (boxesIn(targets, sample, target).some(({ isCrowd }) => !isCrowd)) return;
    }
  }
  throw new ConfigError("no image has a box that counts", {
    where: `data set "${dataset.name}"`,
    remedy: "Add annotations, or images with boxes to this part.",
  });
}
