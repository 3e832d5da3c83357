/**
 * Rounding to levels that are not evenly spaced, as one table look-up.
 *
 * Levels are integers, so the points halfway between two of them are multiples of ½ and the nearest level is constant
 * on each cell between such points. With u = 2·t (t the value in units), the cell is found by rounding, and a table of
 * all cells gives the level: no chain of comparisons, and exact.
 *
 * Ties: `down` takes the lower level, as argmin over ascending levels does. `even` and `away` treat the halfway points
 * as cells of their own.
 */

import { clamp } from "../../base/rounding.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { QuantizerSpec } from "../../ir/quantizer-spec.ts";
import { float32Tensor } from "../../ir/tensor.ts";
import { at } from "../../ops/build/operands.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, ceil, floor, multiply } from "../../ops/families/elementwise.ts";
import { gather } from "../../ops/families/shape/indexing.ts";
import { lookUp } from "./table-operators.ts";

/** The choice for a value exactly between two levels. */
export type TieRule = "down" | "even" | "away";

/** Ascending integers, and how ties between them are broken. */
export interface LevelTable {
  readonly levels: readonly number[];
  readonly ties: TieRule;
  /** For `even`: whether a level's code is even. */
  readonly isEven?: (level: number) => boolean;
}

/** Returns a function of specs that makes each table once; specs with one key share it. */
export function tablesBy(keyOf: (spec: QuantizerSpec) => string, make: (spec: QuantizerSpec) => LevelTable) {
  const tables = new Map<string, LevelTable>();
  return (spec: QuantizerSpec): LevelTable => {
    const key = keyOf(spec);
    const table = tables.get(key) ?? make(spec);
    tables.set(key, table);
    return table;
  };
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
 * The level nearest to `x·factor`, a number of units: as a float tensor of integers, for graphs that are lowered.
 *
 * @param factor The doubling that the cells need is folded into it.
 */
export function lookUpLevel(builder: GraphBuilder, x: Value, factor: Value | number, table: LevelTable): Value {
  return lookUp(builder, cellOf(builder, x, factor, table), cellLevels(builder, table));
}

/** {@link lookUpLevel} in standard operators alone, for graphs that leave subbyte as they are. */
export function gatherLevel(builder: GraphBuilder, x: Value, factor: Value | number, table: LevelTable): Value {
  return gather(builder, cellLevels(builder, table), cast(builder, cellOf(builder, x, factor, table), "int32"));
}

/**
 * The cell that a value lies in: c of `down` holds (c − 1, c]; else 2c is the point c and 2c + 1 the interval above it.
 */
function cellOf(builder: GraphBuilder, x: Value, factor: Value | number, { levels, ties }: LevelTable): Value {
  const doubled = multiply(builder, x, typeof factor === "number" ? 2 * factor : multiply(builder, factor, 2));
  const position = clip(builder, doubled, 2 * at(levels, 0), 2 * at(levels, levels.length - 1));
  const above = ceil(builder, position);
  return ties === "down" ? above : add(builder, above, floor(builder, position));
}

/** The level of each cell: those from 0 up, then those below 0, which an index counts from the end. */
function cellLevels(builder: GraphBuilder, table: LevelTable): Value {
  const { levels, ties } = table;
  const isPlain = ties === "down";
  const cellsPerUnit = isPlain ? 2 : 4;
  const [low, high] = [at(levels, 0) * cellsPerUnit, at(levels, levels.length - 1) * cellsPerUnit];
  const levelOf = (cell: number): number => {
    if (isPlain) return cell === low ? at(levels, 0) : nearestLevel(table, (cell - 0.5) / 2);
    return nearestLevel(table, cell / 4);
  };
  const cells = Array.from({ length: high - low + 1 }, (_, i) => levelOf(i <= high ? i : i - (high - low + 1)));
  return builder.constant(float32Tensor([cells.length], cells), "levels");
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
