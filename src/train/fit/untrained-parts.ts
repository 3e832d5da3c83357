/** Refuses to train a network of which parts would stay as they are, because no gradient reaches them. */

import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { DatasetSplits } from "../../data/dataset/dataset.ts";
import { gradientObstacles } from "../../importer/trainability.ts";
import type { Network } from "../../ir/network.ts";
import { refusedNodesError } from "../../ir/refused-nodes.ts";
import { makeNetwork } from "../network.ts";

/** Reads the model's file of a configuration and refuses it as {@link requireGradients} does; networks of ours have all gradients. */
export function checkGradients(config: TrainingConfig, data: DatasetSplits): void {
  if ("file" in config.model) requireGradients(makeNetwork(config, data), config);
}

/** @throws UnsupportedError that lists every node without a gradient between parameters and an output. */
export function requireGradients(network: Network, { model }: Pick<TrainingConfig, "model">): void {
  if ("name" in model || model.allowFrozen === true) return;
  const parts = gradientObstacles(network).map(({ node, reason, remedy }) => ({
    op: node.op,
    name: node.name,
    message: reason,
    ...(remedy === undefined ? {} : { remedy }),
  }));
  if (parts.length === 0) return;
  const what = parts.length === 1 ? "node has no gradient" : "nodes have no gradient";
  throw refusedNodesError(`${what}, so that the parameters before would not be trained`, parts, {
    where: model.file ?? network.name,
    remedy: "To train only what stands behind: --set model.allowFrozen=true.",
  });
}
