/**
 * Rounding to levels that are not evenly spaced, as one table look-up.
 *
 * Levels are integers, so the points halfway between two of them are multiples of ½ and the nearest level is constant
 * on each cell between such points. With u = 2·t (t the value in units), the cell is found by rounding, and a Gather
 * from a table of all cells gives the level: no chain of comparisons, and exact.
 *
 * Ties: `down` takes the lower level, as argmin over ascending levels does. `even` and `away` treat the halfway points
 * as cells of their own.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { float32Tensor } from "../graph/tensor.ts";
import { clip } from "../ops/activations.ts";
import { cast } from "../ops/cast.ts";
import { add, ceil, floor, multiply, subtract } from "../ops/elementwise.ts";
import { gather } from "../ops/indexing.ts";
import { at } from "../ops/operands.ts";
import { clamp } from "./rounding.ts";

/** What a value takes that lies exactly between two levels. */
export type TieRule = "down" | "even" | "away";

/** Ascending integers, and how ties between them are broken. */
export interface LevelTable {
  readonly levels: readonly number[];
  readonly ties: TieRule;
  /** For `even`: whether a level's code is even. */
  readonly isEven?: (level: number) => boolean;
}

/** The level nearest to a number of units. */
export function nearestLevel(table: LevelTable, units: number): number {
  const { levels } = table;
  let low = 0;
  let high = levels.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(levels, middle) <= units) low = middle;
    else high = middle;
  }
  const [below, above] = [at(levels, low), at(levels, high)];
  const toBelow = units - below;
  const toAbove = above - units;
  if (toBelow !== toAbove) return toBelow < toAbove ? below : above;
  if (table.ties === "down") return below;
  if (table.ties === "away") return above > 0 ? above : below;
  return table.isEven?.(below) === true ? below : above;
}

/**
 * The level nearest to `units`, which holds numbers already multiplied by `1/unit`: as a float tensor of integers.
 *
 * @param factor Multiplies `units` first; the doubling that the cells need is folded into it.
 */
export function lookUpLevel(builder: GraphBuilder, x: Value, factor: Value | number, table: LevelTable): Value {
  const { levels } = table;
  const low = 2 * at(levels, 0);
  const high = 2 * at(levels, levels.length - 1);
  const doubled = multiply(builder, x, typeof factor === "number" ? 2 * factor : multiply(builder, factor, 2));
  const position = clip(builder, doubled, low, high);
  const isPlain = table.ties === "down";
  // Cell c of `down` holds (c − 1, c]; else cell 2c is the point c and cell 2c + 1 the interval above it.
  const cell = isPlain ? ceil(builder, position) : add(builder, ceil(builder, position), floor(builder, position));
  const first = isPlain ? low : 2 * low;
  const index = first === 0 ? cell : subtract(builder, cell, first);
  const count = (isPlain ? high - low : 2 * (high - low)) + 1;
  const cells = Array.from({ length: count }, (_, i) => {
    const place = isPlain ? low + i - 0.5 : low + i / 2;
    return nearestLevel(table, place / 2);
  });
  if (isPlain) cells[0] = at(levels, 0);
  const constant = builder.constant(float32Tensor([count], cells), "levels");
  return gather(builder, constant, cast(builder, index, "int32"));
}

/** {@link lookUpLevel} for one number, with the same float32 operations. */
export function lookUpScalar(x: number, factor: number, table: LevelTable): number {
  const { levels } = table;
  const doubled = Math.fround(x * Math.fround(2 * factor));
  return nearestLevel(table, clamp(doubled, 2 * at(levels, 0), 2 * at(levels, levels.length - 1)) / 2);
}

/** Levels with a sign: those above 0, mirrored. */
export function mirrored(levels: readonly number[]): number[] {
  const positive = levels.filter((level) => level > 0);
  return [...positive.map((level) => -level).reverse(), ...levels.filter((level) => level >= 0)];
}

/** The sums of one element of each list: distinct and ascending. */
export function sumsOf(terms: readonly (readonly number[])[]): number[] {
  const sums = terms.reduce<readonly number[]>((all, term) => all.flatMap((sum) => term.map((t) => sum + t)), [0]);
  return [...new Set(sums)].sort((a, b) => a - b);
}
