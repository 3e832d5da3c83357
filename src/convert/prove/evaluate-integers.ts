/** The accuracy of the integers: the evaluation in exactly the arithmetic of the converted network. */
import { eachBatch } from "../../data/dataset/batches.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import type { EvaluationResult } from "../../train/loop/evaluate.ts";
import { metricTotals } from "../../train/loop/metrics.ts";
import type { IntegerNetwork } from "../integer-network.ts";
import { buildIntegerExactEvaluation } from "./exact-evaluation.ts";

/**
 * The metric and the loss of an integer network: those of its files, because the codes are the same (docs/integer.md).
 *
 * @throws ConfigError when the data have no labels.
 */
export async function evaluateIntegers(
  network: IntegerNetwork,
  dataset: Dataset,
  engine: Engine,
  options: { readonly batchSize?: number } = {},
): Promise<EvaluationResult> {
  if (dataset.target.kind === "none") {
    throw new ConfigError("accuracy cannot be measured without labels", {
      where: `data set "${dataset.name}"`,
      remedy: "Give data with labels, or compare with the simulation: subbyte convert --verify.",
    });
  }
  const batchSize = Math.min(options.batchSize ?? 64, dataset.count);
  const evaluation = buildIntegerExactEvaluation(network, { batchSize });
  const job = await ForwardJob.create(engine, evaluation);
  const state = new StateBuffers(evaluation.state.map(({ name, initial }) => [name, initial] as const));
  const totals = metricTotals(dataset.target);
  try {
    for await (const { data, targets, valid, labels } of eachBatch(dataset, batchSize)) {
      const [output] = Object.values(await job.run(state, data));
      if (output !== undefined) totals.add(output, targets, valid, labels);
    }
  } finally {
    await job.release();
  }
  return totals.result();
}
