/** The running statistics of a network's batch normalizations: what moves them, and whether that gives any to evaluate with. */

import type { TrainingConfig } from "../../config/schema/schema.ts";
import { floatAttribute } from "../../ir/attributes.ts";
import type { Network } from "../../ir/network.ts";
import { isOperator } from "../../ops/definition.ts";
import { batchNormalizationOperator } from "../../ops/families/normalization.ts";

/** A batch normalization, with the share of its running statistics that a step keeps, 0 to 1: ONNX's momentum. */
export interface RunningStatistics {
  readonly name: string;
  readonly kept: number;
}

/**
 * Returns the batch normalizations of a network in the order of the graph.
 *
 * @example
 * console.log(runningStatisticsOf(network)); // [{ name: "bn1", kept: 0.9 }, …
 */
export function runningStatisticsOf({ graph }: Network): RunningStatistics[] {
  return graph.nodes
    .filter((node) => isOperator(batchNormalizationOperator, node))
    .map((node) => ({ name: node.name, kept: floatAttribute(node, "momentum", 0.9) }));
}

/**
 * Returns notes on statistics that a training never moves, or takes from the last batch alone; none where they are estimated again
 * before each evaluation.
 *
 * @example
 * console.log(notesOnStatistics(config, network)); // []
 */
export function notesOnStatistics({ train, quantization }: TrainingConfig, network: Network): string[] {
  if (train.reestimateBatchNormBatches !== undefined || quantization?.freezeBatchNormAfterEpoch === 0) return [];
  const norms = runningStatisticsOf(network);
  return (
    [
      [1, "stay as they are"],
      [0, "are those of the last batch"],
    ] as const
  ).flatMap(([momentum, what]) => {
    const count = norms.filter(({ kept }) => kept === momentum).length;
    if (count === 0) return [];
    const whose = `the running statistics of ${count} of ${norms.length} batch normalizations`;
    return [
      `${whose} ${what}: their momentum is ${momentum}; --set train.reestimateBatchNormBatches=50 estimates them before each evaluation`,
    ];
  });
}
