/** The Pareto front: configurations that are worth their cost. */

import type { Budget } from "../plan/schema.ts";
import type { AccuracyMap } from "./accuracy-map.ts";
import type { SeedMean } from "./noise.ts";

/** A configuration with its accuracy (mean over seeds) and what it costs. */
export interface CostPoint extends SeedMean {
  readonly recipe: string;
  readonly weightBits: number;
  readonly activationBits: number;
  readonly bitOperations: number;
  readonly bytes: number;
}

/** The costs that a front can be drawn against. */
export type CostKind = "bitOperations" | "bytes";

/** Every cell of the maps that has a result and a cost. */
export function costPoints(maps: readonly AccuracyMap[]): CostPoint[] {
  return maps.flatMap(({ recipe, rows }) =>
    rows.flat().flatMap(({ weightBits, activationBits, mean, spread, count, bitOperations, bytes }) => {
      if (mean === null || bitOperations === null || bytes === null) return [];
      return [{ recipe, weightBits, activationBits, accuracy: mean, spread, count, bitOperations, bytes }];
    }),
  );
}

/**
 * The points that no other point beats: none costs as little or less and is as accurate or more, being better in one of
 * the two. By rising cost; of equal points the first stays.
 */
export function paretoFront(points: readonly CostPoint[], cost: CostKind): CostPoint[] {
  const sorted = [...points].sort((a, b) => a[cost] - b[cost] || b.accuracy - a.accuracy);
  const front: CostPoint[] = [];
  for (const point of sorted) {
    const best = front.at(-1);
    if (best === undefined || point.accuracy > best.accuracy) front.push(point);
  }
  return front;
}

/** The most accurate configuration within a budget; of equals the cheapest. undefined: nothing fits. */
export function bestWithin(points: readonly CostPoint[], budget: Budget): CostPoint | undefined {
  const { bitOperations = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY } = budget;
  const fitting = points.filter((point) => point.bitOperations <= bitOperations && point.bytes <= bytes);
  const cost: CostKind = budget.bytes !== undefined && budget.bitOperations === undefined ? "bytes" : "bitOperations";
  return fitting.sort((a, b) => b.accuracy - a.accuracy || a[cost] - b[cost])[0];
}

/** The cheapest configuration whose accuracy is at least so high. */
export function cheapestAbove(
  points: readonly CostPoint[],
  accuracy: number,
  cost: CostKind = "bitOperations",
): CostPoint | undefined {
  return points
    .filter((point) => point.accuracy >= accuracy - 1e-9)
    .sort((a, b) => a[cost] - b[cost] || b.accuracy - a.accuracy)[0];
}
