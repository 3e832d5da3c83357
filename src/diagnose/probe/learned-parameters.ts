/** Trained parameters of quantizers: how far each went from what the run began with, and how far a step moves it. */

import { mean, median, rootMeanSquare } from "../../base/statistics.ts";
import type { QuantizerSite } from "../../compile/sites.ts";
import type { Parameter } from "../../ir/network.ts";
import { float32Data } from "../../ir/tensor.ts";
import type { QuantizerParameter } from "../../quantizers/definition.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import type { SiteMeasurement } from "./measurement.ts";
import type { StateReader } from "./weight-watch.ts";

/** Values of a quantizer's parameters, by name. */
type Values = Readonly<Record<string, Float32Array>>;

type Learned = SiteMeasurement["learned"][number];

/** The trained parameters of a quantizer. Their names and how they change do not depend on the tensor's shape. */
export function trainedParameters({ spec }: Pick<QuantizerSite, "spec">): readonly QuantizerParameter[] {
  const parameters = quantizerNamed(spec.quantizer).parameters(spec, { dtype: "float32", shape: [1, 1, 1, 1] });
  return parameters.filter(({ trainable }) => trainable);
}

/** Returns how far each element of a parameter went; none where the run began with other shapes. */
function changes({ name, change, unit }: QuantizerParameter, first: Values, now: Values): Float64Array {
  const [from, to] = [first[name], now[name]];
  if (from === undefined || to === undefined || from.length !== to.length) return new Float64Array(0);
  const width = unit === undefined ? 1 : mean(now[unit] ?? []);
  const of = {
    factor: (before: number, after: number) => Math.log(Math.abs(after / before)),
    exponent: (before: number, after: number) => Math.LN2 * (after - before),
    shift: (before: number, after: number) => (after - before) / width,
  }[change ?? "factor"];
  return Float64Array.from(to, (value, i) => of(from[i] ?? Number.NaN, value)).filter((each) => !Number.isNaN(each));
}

/** Returns how far the trained parameters of a quantizer went from their first values. */
export function learnedChanges(site: Pick<QuantizerSite, "spec">, first: Values, now: Values): Learned[] {
  return trainedParameters(site).flatMap((parameter): Learned[] => {
    const moved = changes(parameter, first, now);
    if (moved.length === 0) return [];
    const { name, change = "factor" } = parameter;
    const largestChange = Math.max(...moved.map(Math.abs));
    return [{ name, kind: change, change: median(moved), largestChange, update: Number.NaN }];
  });
}

interface WatchedSite {
  readonly site: QuantizerSite;
  readonly parameters: readonly QuantizerParameter[];
  previous: Values | undefined;
  /** Of each parameter, by name: how far each step of the window moved it. */
  updates: Map<string, number[]>;
}

/** Watches trained parameters of quantizers over the steps before a probe. */
export class ParameterWatch {
  readonly #sites: readonly WatchedSite[];

  constructor(parameters: readonly Parameter[], sites: readonly QuantizerSite[]) {
    const trainable = new Set(parameters.flatMap((parameter) => (parameter.trainable ? [parameter.name] : [])));
    this.#sites = sites.flatMap((site): WatchedSite[] => {
      const trained = trainedParameters(site).filter(({ name }) => trainable.has(site.parameters[name] ?? ""));
      return trained.length === 0 ? [] : [{ site, parameters: trained, previous: undefined, updates: new Map() }];
    });
  }

  /** Forgets the window; the next call of {@link see} begins another. */
  reset(): void {
    for (const watched of this.#sites) {
      watched.previous = undefined;
      watched.updates = new Map();
    }
  }

  /** Takes in the parameters between two steps. */
  see(state: StateReader): void {
    for (const watched of this.#sites) {
      const { site, parameters, previous, updates } = watched;
      // The state's own memory changes with the next step.
      const now: Values = Object.fromEntries(
        Object.entries(site.parameters).map(([name, stored]) => [
          name,
          Float32Array.from(float32Data(state.get(stored))),
        ]),
      );
      watched.previous = now;
      if (previous === undefined) continue;
      for (const parameter of parameters) {
        const size = rootMeanSquare(changes(parameter, previous, now));
        updates.set(parameter.name, [...(updates.get(parameter.name) ?? []), size]);
      }
    }
  }

  /** Returns measurements of sites with how far a step moved each of their parameters. */
  addTo(sites: readonly SiteMeasurement[]): SiteMeasurement[] {
    const byName = new Map(this.#sites.map(({ site, updates }) => [site.id, updates]));
    return sites.map((site) => ({
      ...site,
      learned: site.learned.map((each) => ({ ...each, update: mean(byName.get(site.name)?.get(each.name) ?? []) })),
    }));
  }
}
