/** Observes every quantizer of a network on a batch of data, for `explain`. */
import { type QuantizedNetwork, siteTensors } from "../../compile/sites.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { elementCount } from "../../ir/types.ts";
import type { Observation } from "../../qconfig/explain/types.ts";
import { observeTensor } from "../../qconfig/observation.ts";
import type { Engine } from "../../runtime/engine.ts";
import { sampleActivations } from "./calibrate.ts";

/** The number of samples, and the parameters of the quantizers. */
export interface ObserveOptions {
  /** Number of samples. Default 64. */
  readonly count?: number;
  /** Whether to use the trained parameters of the quantizers, not their initial ones. */
  readonly trained?: boolean;
}

/**
 * Observations by site name, from the first samples of a data set; of weights, from their values.
 *
 * @example
 * const seen = await observeNetwork(quantized, data.train, engine, { count: 16 });
 * console.log([...seen.keys()]);
 */
export async function observeNetwork(
  network: QuantizedNetwork,
  dataset: Dataset,
  engine: Engine,
  { count = 64, trained = false }: ObserveOptions = {},
): Promise<ReadonlyMap<string, Observation>> {
  const indices = Int32Array.from({ length: Math.min(count, dataset.count) }, (_, i) => i);
  const samples = await sampleActivations(network, dataset, indices, engine);
  const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const seen = new Map<string, Observation>();
  for (const { id, parameter, spec, parameters } of network.sites) {
    const sample = parameter === undefined ? samples.get(id) : values.get(parameter);
    if (sample === undefined || elementCount(sample.shape) === 0) continue;
    const seenBy = trained ? siteTensors({ parameters }, values) : undefined;
    seen.set(id, observeTensor(spec, sample, seenBy));
  }
  return seen;
}
