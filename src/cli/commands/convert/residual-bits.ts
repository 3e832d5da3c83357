/** The quantizers that conversion adds to what is stored between layers, where training put none. */
import { addStoredQuantizers } from "../../../compile/passes/stored-codes.ts";
import { isQuantized, type QuantizedNetwork } from "../../../compile/sites.ts";
import type { Dataset } from "../../../data/dataset/dataset.ts";
import type { Network } from "../../../ir/network.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import { evenIndices, withStoredQuantizers } from "../../../train/loop/calibrate.ts";
import { defaultResidualBits } from "../../flag-values.ts";

/** Returns a network as conversion has it by default: with the quantizers that are added, whose ranges are not measured here. */
export function withDefaultResidualBits(network: Network): Network {
  return isQuantized(network) ? addStoredQuantizers(network, defaultResidualBits) : network;
}

/** Training images that the ranges of added quantizers are taken from. */
const calibrationImages = 128;

/** The flags that say whether and how quantizers are added. */
export interface ResidualBitsFlags {
  /** Their bits; anything else adds none. */
  readonly residualBits: number | boolean;
  readonly threads: number;
}

/** Returns a run's network with the quantizers that its integers are given after training. */
export async function withResidualBits(
  trained: QuantizedNetwork,
  train: Dataset,
  { residualBits, threads }: ResidualBitsFlags,
): Promise<QuantizedNetwork> {
  if (typeof residualBits !== "number") return trained;
  const engine = nodeEngine({ threads });
  return withStoredQuantizers(trained, residualBits, train, evenIndices(train.count, calibrationImages), engine);
}
