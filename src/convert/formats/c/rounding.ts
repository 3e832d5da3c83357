/** Rounding in the C program: to integers, or to the levels of a grid with gaps; in float, or in fixed point. */
import type { TensorForm } from "../../integer-network.ts";
import { storedLowest } from "./arena.ts";
import { constantArray, subtractionText } from "./text.ts";

/** A rounding: the constants that it reads, and the expression of the stored code. */
export interface Rounding {
  readonly tables: string;
  readonly expression: string;
}

/**
 * clamp(round(t) + z) as it is stored.
 *
 * @param t The C expression of the sum, in steps of the output.
 * @param shift In fixed point, the right shift of `t`; undefined where t is a float.
 */
export function rounding(
  t: string,
  form: TensorForm,
  limits: Pick<TensorForm, "low" | "high">,
  id: number,
  shift?: number,
): Rounding {
  const { zeroPoint, levels } = form;
  const [low, high] = [limits.low - zeroPoint, limits.high - zeroPoint];
  const table = `grid_${id}`;
  const nearest =
    levels === undefined
      ? shift === undefined
        ? `round_code(${t}, ${low - 1}, ${high + 1})`
        : `shift_code(${t}, ${shift}, ${low - 1}, ${high + 1})`
      : shift === undefined
        ? `nearest_level(${t}, ${table}, ${levels.length})`
        : `shift_level(${t}, ${shift}, ${table}, ${levels.length})`;
  return {
    tables: levels === undefined ? "" : constantArray("int16_t", table, levels.map(String)),
    expression: `clamp_code(${nearest}${subtractionText(-zeroPoint)}, ${limits.low}, ${limits.high})${subtractionText(-storedLowest(form))}`,
  };
}

const always = `
static int32_t clamp_code(int32_t code, int32_t low, int32_t high) {
  return code < low ? low : code > high ? high : code;
}
`;

const roundCode = `
/* The nearest integer, halves to even, of t limited to low..high (at most 2^22 from 0). */
static int32_t round_code(float t, int32_t low, int32_t high) {
  const float limited = t < (float)low ? (float)low : t > (float)high ? (float)high : t;
  const volatile float moved = limited + 12582912.0f;
  return (int32_t)(moved - 12582912.0f);
}
`;

const nearestLevel = `
/* The nearest of ascending levels, the lower one of two: borders are halves, which floats hold. */
static int32_t nearest_level(float t, const int16_t *levels, int count) {
  int n = 0;
  while (n + 1 < count && t > 0.5f * (float)(levels[n] + levels[n + 1])) n++;
  return levels[n];
}
`;

const floorShift = `
/* t / 2^shift, rounded down; shifting what is negative is not defined in C. */
static int64_t floor_shift(int64_t t, int shift) {
  return t >= 0 ? t >> shift : -((-t + ((INT64_C(1) << shift) - 1)) >> shift);
}
`;

const shiftCode = `
/* The nearest integer to t/2^shift, halves up, limited to low..high. */
static int32_t shift_code(int64_t t, int shift, int32_t low, int32_t high) {
  const int64_t value = floor_shift(t + (INT64_C(1) << (shift - 1)), shift);
  return value < low ? low : value > high ? high : (int32_t)value;
}
`;

const shiftLevel = `
/* The level nearest to t/2^shift, the lower one of two: compared in halves, of which \`whole\` are below t. */
static int32_t shift_level(int64_t t, int shift, const int16_t *levels, int count) {
  const int64_t whole = floor_shift(t, shift - 1);
  const int64_t rest = t - whole * (INT64_C(1) << (shift - 1));
  int n = 0;
  while (n + 1 < count && (whole > levels[n] + levels[n + 1] || (whole == levels[n] + levels[n + 1] && rest > 0))) n++;
  return levels[n];
}
`;

/** The helpers that a program's functions call. */
export function roundingHelpers(functions: string): string {
  // A layer may have the name of a helper.
  const code = functions.replaceAll(/\/\*.*?\*\//g, "");
  const uses = (name: string): boolean => code.includes(`${name}(`);
  return [
    always,
    uses("round_code") ? roundCode : "",
    uses("nearest_level") ? nearestLevel : "",
    uses("shift_code") || uses("shift_level") ? floorShift : "",
    uses("shift_code") ? shiftCode : "",
    uses("shift_level") ? shiftLevel : "",
  ].join("");
}
