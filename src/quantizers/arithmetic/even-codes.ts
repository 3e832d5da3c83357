/** The integers of quantizers whose levels lie at even distances: one code for each integer of a range. */
import { clamp, roundHalfEven } from "../../base/rounding.ts";
import type { GroupParameters, IntegerForm, QuantizerSpec } from "../definition.ts";
import { encodeWith, integersBetween, roundedQuotient, scalarParameter } from "./scalar.ts";
import { evenGridError } from "./squared-error.ts";

const { fround } = Math;

/** A number that belongs to a group of elements. */
type GroupNumber = (spec: QuantizerSpec, parameters: GroupParameters) => number;

/** Returns the parameter `scale` of a group. */
const scaleOfGroup: GroupNumber = (_spec, parameters) => scalarParameter(parameters, "scale");

/** Returns the codes from quantMin to quantMax. */
export function allCodes(spec: QuantizerSpec): number[] {
  return integersBetween(spec.quantMin, spec.quantMax);
}

/** Returns how many codes there are from quantMin to quantMax. */
export function codeCount(spec: QuantizerSpec): number {
  return spec.quantMax - spec.quantMin + 1;
}

/** value = s·(code − z), code = clamp(z + round(x·(1/s)), qmin, qmax): torch's, with a zero point that is an integer. */
export function affineIntegers(zeroPointOf: GroupNumber): IntegerForm {
  return {
    codes: allCodes,
    unit: (spec, parameters) => ({
      scale: scaleOfGroup(spec, parameters),
      zeroPoint: zeroPointOf(spec, parameters),
      offset: 0,
    }),
    encode(spec, parameters, row) {
      const inverse = fround(1 / scaleOfGroup(spec, parameters));
      const zeroPoint = zeroPointOf(spec, parameters);
      return encodeWith(row, (x) =>
        clamp(zeroPoint + roundHalfEven(fround(x * inverse)), spec.quantMin, spec.quantMax),
      );
    },
    meanSquaredError(spec, parameters, row, limit) {
      const zeroPoint = zeroPointOf(spec, parameters);
      const scale = scaleOfGroup(spec, parameters);
      const [low, high] = [spec.quantMin - zeroPoint, spec.quantMax - zeroPoint];
      return evenGridError(row, { scale, offset: 0, low, high }, limit);
    },
  };
}

/** The differences between quantizers that round x/s. */
export interface QuotientForm {
  /** s; absent: the parameter `scale`. */
  readonly scale?: GroupNumber;
  /** β, which is taken off before and added after; absent: none. */
  readonly offset?: GroupNumber;
  /** The lowest code that is used; absent: quantMin. */
  readonly lowest?: (spec: QuantizerSpec) => number;
}

/** value = s·code + β, code = round(clip((x − β)·(1/s), qmin, qmax)): LSQ's and its relatives'. */
export function quotientIntegers(form: QuotientForm = {}): IntegerForm {
  const { scale = scaleOfGroup, offset = () => 0, lowest = ({ quantMin }) => quantMin } = form;
  return {
    codes: (spec) => integersBetween(lowest(spec), spec.quantMax),
    unit: (spec, parameters) => ({
      scale: fround(scale(spec, parameters)),
      zeroPoint: 0,
      offset: offset(spec, parameters),
    }),
    encode(spec, parameters, row) {
      const step = fround(scale(spec, parameters));
      const shift = offset(spec, parameters);
      const low = lowest(spec);
      return encodeWith(row, (x) => roundedQuotient(fround(x - shift), step, low, spec.quantMax));
    },
    meanSquaredError(spec, parameters, row, limit) {
      const step = fround(scale(spec, parameters));
      const grid = { scale: step, offset: offset(spec, parameters), low: lowest(spec), high: spec.quantMax };
      return evenGridError(row, grid, limit);
    },
  };
}

/** {@link quotientIntegers} of the parameter `scale` and of all codes. */
export const scaleIntegers: IntegerForm = quotientIntegers();
