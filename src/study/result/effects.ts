/**
 * What one bit is worth, and whether weight and activation bits act on each other.
 *
 * The means of a full grid are split as in a two-way analysis of variance: cell = grand mean + weight effect +
 * activation effect + interaction. Shares are parts of the sum of squares of the cell means around the grand mean. A
 * large interaction says that what a bit of one is worth depends on how many bits the other has.
 */
import { mean } from "../../base/statistics.ts";
import type { AccuracyMap, MapCell } from "./accuracy-map.ts";

/** The accuracy lost by a step to the next lower bits on one axis, at one value of the other. */
export interface BitValue {
  /** The bits on the axis that is stepped along: from, to. */
  readonly from: number;
  readonly to: number;
  /** The other axis's bits. */
  readonly at: number;
  /** Accuracy lost for each bit that is taken away; negative where it was gained. null where a cell has no result. */
  readonly perBit: number | null;
}

/** A level of an axis with its mean accuracy and its distance from the grand mean. */
export interface MainEffect {
  readonly bits: number;
  readonly mean: number;
  readonly effect: number;
}

/** The two-way split of a full grid. */
export interface Variance {
  readonly grandMean: number;
  readonly weights: readonly MainEffect[];
  readonly activations: readonly MainEffect[];
  /** By row and column of the map. */
  readonly interaction: readonly (readonly number[])[];
  /** Parts of the sum of squares, which add up to 1; null where all cells are equal. */
  readonly shares: { readonly weights: number; readonly activations: number; readonly interaction: number } | null;
}

/** The value of a bit, for one recipe. */
export interface Effects {
  readonly recipe: string;
  /** The value of a weight bit at each number of activation bits. */
  readonly weightBits: readonly BitValue[];
  /** The value of an activation bit at each number of weight bits. */
  readonly activationBits: readonly BitValue[];
  /** null where a cell of the grid has no result. */
  readonly variance: Variance | null;
}

/** The effects of a map's two axes. */
export function effectsOf(map: AccuracyMap): Effects {
  const columns = map.activationBits.map((_, column) => map.rows.flatMap((row) => row[column] ?? []));
  return {
    recipe: map.recipe,
    weightBits: columns.flatMap((cells) => steps(cells, "weightBits", "activationBits")),
    activationBits: map.rows.flatMap((cells) => steps(cells, "activationBits", "weightBits")),
    variance: varianceOf(map),
  };
}

type Axis = "weightBits" | "activationBits";

/** Steps between neighbouring cells of a row or a column, whose bits fall. */
function steps(cells: readonly MapCell[], along: Axis, across: Axis): BitValue[] {
  return cells.slice(1).map((lower, index) => {
    const upper = cells[index] ?? lower;
    const [from, to] = [upper[along], lower[along]];
    const perBit = upper.mean === null || lower.mean === null ? null : (upper.mean - lower.mean) / (from - to);
    return { from, to, at: lower[across], perBit };
  });
}

function varianceOf(map: AccuracyMap): Variance | null {
  const table = map.rows.map((row) => row.flatMap((cell) => cell.mean ?? []));
  if (table.length === 0 || table.some((row) => row.length !== map.activationBits.length)) return null;
  const grandMean = mean(table.flat());
  const weights = map.weightBits.map((bits, row) => effect(bits, table[row] ?? [], grandMean));
  const columnOf = (column: number) => table.flatMap((row) => row[column] ?? []);
  const activations = map.activationBits.map((bits, column) => effect(bits, columnOf(column), grandMean));
  const interaction = table.map((row, r) =>
    row.map((value, c) => value - (weights[r]?.mean ?? 0) - (activations[c]?.mean ?? 0) + grandMean),
  );
  const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
  const total = squares(table.flat().map((value) => value - grandMean));
  const shares = {
    weights: (squares(weights.map((item) => item.effect)) * map.activationBits.length) / total,
    activations: (squares(activations.map((item) => item.effect)) * map.weightBits.length) / total,
    interaction: squares(interaction.flat()) / total,
  };
  return { grandMean, weights, activations, interaction, shares: total < 1e-15 ? null : shares };
}

function effect(bits: number, values: readonly number[], grandMean: number): MainEffect {
  const level = mean(values);
  return { bits, mean: level, effect: level - grandMean };
}
