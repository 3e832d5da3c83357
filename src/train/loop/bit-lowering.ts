/**
 * Progressive bit lowering: the same network with fewer bits from some epoch on, each width starting from the one
 * before (the recipe of APoT, arXiv 1909.13144, and of QIL, arXiv 1808.05779).
 */

import { isQuantized } from "../../compile/sites.ts";
import type { Network } from "../../ir/network.ts";
import { float32Data, float32Tensor } from "../../ir/tensor.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import type { StateBuffers } from "../../runtime/state.ts";

/** The network of a part of the run: the same layers and parameters, other codes. */
export interface NetworkStage {
  readonly fromEpoch: number;
  readonly network: Network;
}

/** The stage of an epoch: the last one that has begun. */
export function stageOf(stages: readonly NetworkStage[], epoch: number): NetworkStage | undefined {
  return stages.findLast((stage) => stage.fromEpoch <= epoch);
}

/**
 * Fits learned scales to a new number of codes. Where the highest code falls from Q to Q', a step grows by √(Q/Q'), as
 * the initial value 2·mean|x|/√Q of learned step sizes would.
 */
export function adaptScales(state: StateBuffers, from: Network, to: Network): void {
  if (!isQuantized(from) || !isQuantized(to)) return;
  const before = new Map(from.sites.map((site) => [site.id, site.spec]));
  const trainable = new Set(to.parameters.filter((parameter) => parameter.trainable).map(({ name }) => name));
  for (const { id, spec, parameters } of to.sites) {
    const old = before.get(id);
    const { scale: parameter } = parameters;
    if (
      old === undefined ||
      parameter === undefined ||
      quantizerNamed(spec.quantizer).grid === undefined ||
      spec.groupSize !== undefined ||
      !trainable.has(parameter) ||
      !state.has(parameter)
    )
      continue;
    const factor = Math.sqrt(Math.max(old.quantMax, 1) / Math.max(spec.quantMax, 1));
    if (factor === 1) continue;
    const scale = state.get(parameter);
    const rescaled = float32Data(scale).map((step) => step * factor);
    state.set(parameter, float32Tensor(scale.shape, rescaled));
  }
}
