/** Initial ranges of a float network's quantizers at several bit widths, searched once for each tensor and spec. */

import { quantize } from "../../compile/passes/quantize.ts";
import type { QuantizedNetwork, QuantizerSite, SiteId } from "../../compile/sites.ts";
import { type Network, withParameterValues } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { initialParametersInTurns } from "../../observers/calibrators.ts";
import type { QuantizationConfig } from "../../qconfig/config.ts";
import { sampleActivations } from "../../train/loop/calibrate.ts";
import type { SubjectParts } from "./sensitivity.ts";
import { giveTurn } from "./turns.ts";

/** Milliseconds of work after which signals and timers get their turn. */
const turnInterval = 50;

/** The network whose ranges are searched, and the samples that its activations are taken from. */
export interface RangeSource extends SubjectParts {
  readonly float: Network;
}

/** Quantized networks with initial ranges: of weights from their values, of activations from the first calibration batch. */
export class CalibratedNetworks {
  readonly #source: RangeSource;
  readonly #known = new Map<string, ReadonlyMap<string, Tensor>>();
  #samples: ReadonlyMap<SiteId, Tensor> = new Map();
  #turnAt = performance.now();

  constructor(source: RangeSource) {
    this.#source = source;
  }

  /**
   * Returns the float network quantized by a configuration.
   *
   * @param onSite Called before each search, with the index of the site and their number.
   */
  async quantized(
    config: QuantizationConfig,
    onSite: (index: number, count: number) => void = () => undefined,
  ): Promise<QuantizedNetwork> {
    const { float, signal } = this.#source;
    const network = quantize(float, config, { initialWeights: false });
    // What an observer drives is set by the first training batch.
    const sites = network.sites.filter(({ spec }) => spec.observer === undefined);
    await this.#sampleActivations(network, sites);
    const weights = new Map(float.parameters.map(({ name, value }) => [name, value]));
    const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
    for (const [index, site] of sites.entries()) {
      onSite(index, sites.length);
      const sample = site.parameter === undefined ? this.#samples.get(site.id) : weights.get(site.parameter);
      if (sample === undefined || elementCount(sample.shape) === 0) continue;
      const initial = await this.#initial(site, sample);
      for (const [parameter, name] of Object.entries(site.parameters)) {
        const tensor = initial.get(parameter);
        if (tensor !== undefined) values.set(name, tensor);
      }
      await giveTurn(signal);
    }
    return { ...network, ...withParameterValues(network, values), sites: network.sites };
  }

  async #initial({ id, spec }: QuantizerSite, sample: Tensor): Promise<ReadonlyMap<string, Tensor>> {
    const key = `${id} ${JSON.stringify(spec)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const initial = await initialParametersInTurns(spec, sample, () => this.#turn());
    this.#known.set(key, initial);
    return initial;
  }

  /** Samples the float activations, which are the same at every bit width. */
  async #sampleActivations(network: QuantizedNetwork, sites: readonly QuantizerSite[]): Promise<void> {
    const { data, engine, target } = this.#source;
    const wanted = sites.filter(({ kind }) => kind === "activation");
    if (wanted.every(({ id }) => this.#samples.has(id))) return;
    const [first = new Int32Array(0)] = data.indices;
    this.#samples = await sampleActivations(network, data.dataset, first, engine, target);
  }

  async #turn(): Promise<void> {
    if (performance.now() - this.#turnAt < turnInterval) return;
    await giveTurn(this.#source.signal);
    this.#turnAt = performance.now();
  }
}
