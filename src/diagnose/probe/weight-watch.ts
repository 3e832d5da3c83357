/**
 * Watches weights over the few steps before a probe: how far they move, how often their codes change, and how many of
 * these turn back (oscillation, arXiv 2203.11086). A sample of each weight, in TypeScript, from the state's own memory.
 */

import { mean, rootMeanSquare } from "../../base/statistics.ts";
import type { QuantizerSite } from "../../compile/sites.ts";
import type { Parameter } from "../../ir/network.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import { groupNumbers } from "../../quantizers/integers.ts";
import type { WeightMeasurement } from "./measurement.ts";
import { planSample, type SamplePlan, sampleGroups, takeSample } from "./sampling.ts";

/** The part of a run's state that is read. */
export interface StateReader {
  get(name: string): Tensor;
}

/** The measurements of a weight that need several steps. */
export type WatchedWeight = Pick<
  WeightMeasurement,
  "norm" | "distance" | "update" | "updateInSteps" | "flipRate" | "oscillatingShare"
>;

const watchedElements = 512;

interface Watched {
  readonly name: string;
  readonly plan: SamplePlan;
  readonly start: Float32Array;
  readonly codes: ((values: Float32Array, state: StateReader) => Float64Array) | undefined;
  readonly steps: ((state: StateReader) => number) | undefined;
  window: Window | undefined;
}

interface Window {
  values: Float32Array;
  codes: Float64Array | undefined;
  readonly directions: Int8Array;
  readonly turned: Uint8Array;
  readonly updates: number[];
  readonly updatesInSteps: number[];
  readonly flips: number[];
}

/** Watches weights over the steps before a probe. */
export class WeightWatch {
  readonly #watched: readonly Watched[];

  /** @param parameters The network's, with the values that the run starts from. */
  constructor(parameters: readonly Parameter[], sites: readonly QuantizerSite[]) {
    const byWeight = new Map(sites.map((site) => [site.parameter, site]));
    this.#watched = parameters
      .filter(({ role, trainable }) => role === "weight" && trainable)
      .map(({ name, value }) => {
        const plan = planSample(elementCount(value.shape), watchedElements);
        const site = byWeight.get(name);
        return {
          name,
          plan,
          start: takeSample(float32Data(value), plan),
          codes: site === undefined ? undefined : encoder(site, value, plan),
          steps: site === undefined ? undefined : meanStep(site),
          window: undefined,
        };
      });
  }

  /** Forgets the window; the next call of {@link see} begins another. */
  reset(): void {
    for (const watched of this.#watched) watched.window = undefined;
  }

  /** Takes in the weights between two steps. */
  see(state: StateReader): void {
    for (const watched of this.#watched) {
      const values = takeSample(float32Data(state.get(watched.name)), watched.plan);
      const codes = watched.codes?.(values, state);
      const { window } = watched;
      if (window === undefined) {
        watched.window = {
          values,
          codes,
          directions: new Int8Array(values.length),
          turned: new Uint8Array(values.length),
          updates: [],
          updatesInSteps: [],
          flips: [],
        };
        continue;
      }
      const change = values.map((value, i) => value - (window.values[i] ?? 0));
      window.updates.push(rootMeanSquare(change) / rootMeanSquare(window.values));
      if (watched.steps !== undefined) window.updatesInSteps.push(mean(change.map(Math.abs)) / watched.steps(state));
      if (codes !== undefined && window.codes !== undefined) window.flips.push(countFlips(window, window.codes, codes));
      window.values = values;
      window.codes = codes;
    }
  }

  /** The observations of each weight, by name. */
  measure(state: StateReader): Map<string, WatchedWeight> {
    return new Map(
      this.#watched.map(({ name, plan, start, codes, window }) => {
        const data = float32Data(state.get(name));
        const now = takeSample(data, plan);
        const moved = now.map((value, i) => value - (start[i] ?? 0));
        const began = window !== undefined && window.updates.length > 0;
        return [
          name,
          {
            norm: rootMeanSquare(data) * Math.sqrt(data.length),
            distance: rootMeanSquare(moved) / rootMeanSquare(start),
            update: began ? mean(window.updates) : Number.NaN,
            updateInSteps: began && codes !== undefined ? mean(window.updatesInSteps) : Number.NaN,
            flipRate: began && codes !== undefined ? mean(window.flips) : Number.NaN,
            oscillatingShare: began && codes !== undefined ? mean(window.turned) : Number.NaN,
          },
        ];
      }),
    );
  }
}

/** Share of the codes that changed; marks those whose direction is against that of their last change. */
function countFlips({ directions, turned }: Window, before: Float64Array, after: Float64Array): number {
  let flips = 0;
  after.forEach((code, i) => {
    const direction = Math.sign(code - (before[i] ?? 0));
    if (direction === 0) return;
    flips++;
    if (directions[i] === -direction) turned[i] = 1;
    directions[i] = direction;
  });
  return flips / after.length;
}

function parametersOf(site: QuantizerSite, state: StateReader): [string, Float32Array][] {
  return Object.entries(site.parameters).map(([parameter, name]) => [parameter, float32Data(state.get(name))]);
}

function encoder(site: QuantizerSite, value: Tensor, plan: SamplePlan): Watched["codes"] {
  const integers = quantizerNamed(site.spec.quantizer).integers;
  if (integers === undefined) return undefined;
  const groups = sampleGroups(site.spec, value.shape, plan);
  return (values, state) => {
    const parameters = parametersOf(site, state);
    const codes = new Float64Array(values.length);
    groups.forEach((places, group) => {
      if (places.length === 0) return;
      const own = groupNumbers(site.spec, parameters, group);
      const row = Float32Array.from(places, (place) => values[place] ?? 0);
      integers.encode(site.spec, own, row).forEach((code, i) => {
        codes[places[i] ?? 0] = code;
      });
    });
    return codes;
  };
}

function meanStep(site: QuantizerSite): Watched["steps"] {
  const { scale } = site.parameters;
  return scale === undefined ? undefined : (state) => mean(float32Data(state.get(scale)));
}
