/** A trained network's weights in units of their step size: what rounding does to them, and which codes they use. */
import { roundHalfEven } from "../../base/rounding.ts";
import { isQuantized, type QuantizerSite, siteTensor } from "../../compile/sites.ts";
import type { Network } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { LevelHistogram } from "./run.ts";

/** One layer's weights. */
export interface WeightLevels extends LevelHistogram {
  /** For each code from the lowest to the highest, its share of the weights. */
  readonly usage: readonly { readonly code: number; readonly share: number }[];
  /** Codes that are used at all. */
  readonly distinct: number;
  /** Share of the weights that lie beyond the outermost levels' own half step. */
  readonly clipped: number;
}

const binsPerLevel = 8;
const mostBins = 240;

/** The weights of every layer whose quantizer keeps a step size under the name `scale`. */
export function weightLevels(network: Network): WeightLevels[] {
  if (!isQuantized(network)) return [];
  const values = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  return network.sites.flatMap((site) => {
    const weight = site.parameter === undefined ? undefined : values.get(site.parameter);
    const scale = siteTensor(site, "scale", values);
    if (weight === undefined || scale === undefined) return [];
    return [levelsOfWeight(site, weight, scale, siteTensor(site, "zero_point", values))];
  });
}

function levelsOfWeight(site: QuantizerSite, weight: Tensor, scale: Tensor, zero: Tensor | undefined): WeightLevels {
  const { quantMin, quantMax } = site.spec;
  const codes = inSteps(site, weight, scale, zero);
  const levels = quantMax - quantMin + 1;
  const used = new Float64Array(levels);
  let clipped = 0;
  let [low, high] = [quantMin - 1, quantMax + 1];
  for (const code of codes) {
    const rounded = roundHalfEven(code);
    if (rounded < quantMin || rounded > quantMax) clipped++;
    const index = Math.min(levels - 1, Math.max(0, rounded - quantMin));
    used[index] = (used[index] ?? 0) + 1;
    low = Math.min(low, Math.floor(code));
    high = Math.max(high, Math.ceil(code));
  }
  // A few far outliers must not squeeze all else into one bin.
  const margin = 2 * levels;
  const from = Math.max(low, quantMin - margin);
  const to = Math.min(high, quantMax + margin);
  const count = codes.length || 1;
  return {
    name: site.layer,
    quantMin,
    quantMax,
    from,
    to,
    counts: histogram(codes, from, to, Math.min(mostBins, Math.max(24, (to - from) * binsPerLevel))),
    usage: [...used].map((number, index) => ({ code: quantMin + index, share: number / count })),
    distinct: [...used].filter((number) => number > 0).length,
    clipped: clipped / count,
  };
}

/** Each weight over its channel's step size, shifted by the zero point. */
function inSteps({ spec }: QuantizerSite, weight: Tensor, scale: Tensor, zero: Tensor | undefined): Float64Array {
  const { channelAxis, groupSize } = spec;
  const inner =
    channelAxis === undefined
      ? 1
      : weight.shape.slice(channelAxis + 1).reduce((size, dimension) => size * dimension, 1);
  const channels = scale.data.length;
  const codes = new Float64Array(weight.data.length);
  for (let i = 0; i < codes.length; i++) {
    const channel = groupSize === undefined ? Math.floor(i / inner) % channels : Math.floor(i / groupSize);
    const step = Number(scale.data[channel] ?? scale.data[0] ?? 1);
    codes[i] = Number(weight.data[i] ?? 0) / step + Number(zero?.data[channel] ?? zero?.data[0] ?? 0);
  }
  return codes;
}

function histogram(values: Float64Array, from: number, to: number, bins: number): number[] {
  const counts = Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.floor(((value - from) / (to - from)) * bins);
    if (bin < 0 || bin >= bins) continue;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}
