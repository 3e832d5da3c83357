/** Statistics of a quantizer on a sample of its tensor's values: the range, what the grid holds, the codes that are used. */
import { float32Data, type Tensor } from "../ir/tensor.ts";
import { initialParameters } from "../observers/calibrators.ts";
import { decode } from "../quantizers/arithmetic/scalar.ts";
import { parameterRows, type QuantizerSpec } from "../quantizers/definition.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { gridOf, toCodes } from "../quantizers/integers.ts";
import type { Observation, ValueRange } from "./explain/types.ts";

/**
 * Looks at a tensor.
 *
 * @param parameters The quantizer's parameters by name; absent: those that it would start with on these values.
 *
 * @example
 * const spec = quantized.sites[0]?.spec;
 * if (spec !== undefined) console.log(observeTensor(spec, float32Tensor([3], [0, 0.5, 1])).codesSeen);
 */
export function observeTensor(
  spec: QuantizerSpec,
  values: Tensor,
  parameters: ReadonlyMap<string, Tensor> = initialParameters(spec, values),
): Observation {
  const data = float32Data(values);
  const { min, max } = extremes(data);
  const zeroGroups = parameterRows(spec, values).filter((row) => row.every((value) => value === 0)).length;
  const seen: Observation = { min, max, ...(zeroGroups > 0 ? { zeroGroups } : {}) };
  if (quantizerNamed(spec.quantizer).integers === undefined) return seen;
  const grid = gridOf(spec, parameters);
  const coded = toCodes(spec, values, parameters);
  const units = grid?.units ?? coded.grid.units;
  const ends = [coded.grid.codes[0] ?? 0, coded.grid.codes.at(-1) ?? 0];
  const reach = extremes(units.flatMap((unit) => ends.map((code) => decode(unit, code))));
  return {
    ...seen,
    representable: reach,
    codesSeen: new Set(coded.codes).size,
    ...deadShare(spec, data, coded.codes, units[0]?.zeroPoint),
  };
}

/** The share of positive values whose code stands for 0; only where one grid serves the whole tensor. */
function deadShare(
  spec: QuantizerSpec,
  data: Float32Array,
  codes: Int32Array,
  zero: number | undefined,
): { readonly deadShare?: number } {
  if (spec.channelAxis !== undefined || spec.groupSize !== undefined || zero === undefined) return {};
  let positive = 0;
  let dead = 0;
  data.forEach((value, i) => {
    if (value <= 0) return;
    positive++;
    if (codes[i] === zero) dead++;
  });
  return positive === 0 ? {} : { deadShare: dead / positive };
}

function extremes(values: Iterable<number>): ValueRange {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return min > max ? { min: 0, max: 0 } : { min, max };
}
