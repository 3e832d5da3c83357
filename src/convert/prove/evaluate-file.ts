/** Accuracy and speed of converted files as ONNX Runtime executes them. */

import { bindBatch } from "../../compile/passes/bind-batch.ts";
import { eachBatch } from "../../data/dataset/batches.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { exportOnnx } from "../../importer/export.ts";
import type { Graph } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { allocate, makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import type { Engine } from "../../runtime/engine.ts";
import type { EvaluationResult } from "../../train/loop/evaluate.ts";
import { metricTotals } from "../../train/loop/metrics.ts";
import { feedsOf } from "../formats/feeds.ts";
import { buildIntGraph } from "../formats/int/int.ts";
import type { IntegerNetwork } from "../integer-network.ts";

/** Runs are timed until this much time has passed, and at least three. */
const timedSeconds = 0.5;
const mostRuns = 30;

/** The metric and the loss of the int file on labelled data. */
export async function evaluateIntFile(
  network: IntegerNetwork,
  dataset: Dataset,
  engine: Engine,
  { batchSize, packed }: { readonly batchSize: number; readonly packed: boolean },
): Promise<EvaluationResult> {
  const size = Math.min(batchSize, dataset.count);
  const graph = buildIntGraph(network, { batchSize: size, packed });
  const session = await engine.createSession(writeOnnx(graph));
  const results = resultBuffers(graph);
  const totals = metricTotals(dataset.target);
  try {
    for await (const { data, targets, valid, labels } of eachBatch(dataset, size)) {
      await session.run(feedsOf(network, data), results);
      const [output] = Object.values(results);
      if (output !== undefined) totals.add(output, targets, valid, labels);
    }
  } finally {
    await session.release();
  }
  return totals.result();
}

function resultBuffers({ outputs }: Pick<Graph, "outputs">): Record<string, Tensor> {
  return Object.fromEntries(outputs.map(({ name, value }) => [name, zeros(value.type)]));
}

function zeros({ dtype, shape }: TensorType): Tensor {
  return makeTensor(dtype, shape, allocate(dtype, elementCount(shape)));
}

/** Returns the median time of runs of the int file on zeros, in milliseconds. */
export function timeIntFile(
  network: IntegerNetwork,
  engine: Engine,
  options: { readonly batchSize: number; readonly packed: boolean },
): Promise<number> {
  const graph = buildIntGraph(network, options);
  return medianTime(writeOnnx(graph), graph, engine);
}

/** Returns the median time of runs of a float network's ONNX file on zeros, in milliseconds. */
export function timeFloatFile(network: Network, engine: Engine, batchSize: number): Promise<number> {
  const bound = { ...network, ...bindBatch(network, batchSize) };
  const { outputs } = bound.graph;
  return medianTime(exportOnnx(bound, { batch: false }), { inputs: dataInputs(bound), outputs }, engine);
}

async function medianTime(
  model: Uint8Array,
  graph: Pick<Graph, "inputs" | "outputs">,
  engine: Engine,
): Promise<number> {
  const session = await engine.createSession(model);
  const results = resultBuffers(graph);
  const feeds = Object.fromEntries(graph.inputs.map(({ name, type }) => [name, zeros(type)]));
  const times: number[] = [];
  try {
    await session.run(feeds, results);
    for (let spent = 0; times.length < 3 || (times.length < mostRuns && spent < 1000 * timedSeconds); ) {
      const start = performance.now();
      await session.run(feeds, results);
      const time = performance.now() - start;
      times.push(time);
      spent += time;
    }
  } finally {
    await session.release();
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}
