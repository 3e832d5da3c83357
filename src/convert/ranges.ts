/** Range analysis: how large the sums of a layer can become, from its weights' codes and its input's range. */
import type { AxisWeights, IntegerWeight, TensorForm } from "./integer-network.ts";

/** Float32 holds every integer up to here, so sums that stay below are exact in any order. */
export const floatBound = 2 ** 24;
/** An int32 accumulator must stay below. */
export const accumulatorBound = 2 ** 31;

/** For each output channel, the least and greatest sum, and the greatest sum of absolute values. */
export interface ChannelBounds {
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly magnitude: Float64Array;
}

/** The centred range of a form, with the 0 of padding. */
export function centred({ low, high, zeroPoint }: TensorForm): { readonly low: number; readonly high: number } {
  return { low: Math.min(low - zeroPoint, 0), high: Math.max(high - zeroPoint, 0) };
}

/** Returns the largest absolute value of a form's centred codes. */
export function centredReach(form: TensorForm): number {
  const { low, high } = centred(form);
  return Math.max(-low, high);
}

/** Returns bounds of a layer's accumulators, for each output channel. */
export function layerBounds(weight: IntegerWeight, input: TensorForm): ChannelBounds {
  const channels = weight.shape[0] ?? 0;
  const row = channels === 0 ? 0 : weight.codes.length / channels;
  const range = centred(input);
  const largest = Math.max(-range.low, range.high);
  const bounds = emptyBounds(channels);
  for (let k = 0; k < channels; k++) {
    // Without a branch on the sign, which no processor foresees.
    let sum = 0;
    let magnitudes = 0;
    for (let i = k * row; i < (k + 1) * row; i++) {
      const code = weight.codes[i] ?? 0;
      sum += code;
      magnitudes += Math.abs(code);
    }
    const positive = (magnitudes + sum) / 2;
    const negative = (sum - magnitudes) / 2;
    bounds.low[k] = positive * range.low + negative * range.high;
    bounds.high[k] = positive * range.high + negative * range.low;
    bounds.magnitude[k] = (positive - negative) * largest;
  }
  return bounds;
}

/** Bounds of sums that keep within those of their form. */
export function productBounds(channels: number, { low, high }: TensorForm): ChannelBounds {
  const bounds = emptyBounds(channels);
  bounds.low.fill(low);
  bounds.high.fill(high);
  bounds.magnitude.fill(Math.max(-low, high));
  return bounds;
}

/** Bounds of sums of `count` codes. */
export function sumBounds(channels: number, count: number, input: TensorForm): ChannelBounds {
  const range = centred(input);
  const bounds = emptyBounds(channels);
  bounds.low.fill(count * range.low);
  bounds.high.fill(count * range.high);
  bounds.magnitude.fill(count * Math.max(-range.low, range.high));
  return bounds;
}

/** Bounds of interpolated codes: the weights of the places of two axes are multiplied. */
export function weightedBounds(
  channels: number,
  axes: readonly [AxisWeights, AxisWeights],
  input: TensorForm,
): ChannelBounds {
  const ends = axes.map(({ taps, weights }) => {
    const rows = Array.from({ length: weights.length / taps }, (_, row) => [
      ...weights.subarray(row * taps, (row + 1) * taps),
    ]);
    const most = (of: (weight: number) => number): number =>
      rows.reduce(
        (max, row) =>
          Math.max(
            max,
            row.reduce((sum, weight) => sum + of(weight), 0),
          ),
        0,
      );
    return { above: most((weight) => Math.max(weight, 0)), below: most((weight) => Math.max(-weight, 0)) };
  });
  const [rows, columns] = [ends[0] ?? { above: 0, below: 0 }, ends[1] ?? { above: 0, below: 0 }];
  const positive = rows.above * columns.above + rows.below * columns.below;
  const negative = rows.above * columns.below + rows.below * columns.above;
  const range = centred(input);
  const bounds = emptyBounds(channels);
  bounds.low.fill(positive * range.low - negative * range.high);
  bounds.high.fill(positive * range.high - negative * range.low);
  bounds.magnitude.fill((positive + negative) * Math.max(-range.low, range.high));
  return bounds;
}

/** Bounds of centred codes themselves. */
export function codeBounds(channels: number, form: TensorForm): ChannelBounds {
  return sumBounds(channels, 1, form);
}

/** Returns the largest value, at least 0. */
export function largest(values: Float64Array): number {
  return values.reduce((max, value) => Math.max(max, value), 0);
}

function emptyBounds(channels: number): ChannelBounds {
  return {
    low: new Float64Array(channels),
    high: new Float64Array(channels),
    magnitude: new Float64Array(channels),
  };
}
