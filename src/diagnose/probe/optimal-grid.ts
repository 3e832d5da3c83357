/**
 * The uniform grid that loses least of a sample: a search over shrunken ranges for the smallest mean square error. What
 * a scale is compared with; the range of min and max is the first candidate.
 */
import { clamp, roundHalfEven } from "../../base/rounding.ts";

/** The codes that a uniform grid may use. */
export interface Grid {
  readonly quantMin: number;
  readonly quantMax: number;
  /** Whether the code of 0 may be another than 0. */
  readonly affine: boolean;
}

/** The uniform grid with the smallest squared error, and that error. */
export interface OptimalGrid {
  readonly step: number;
  /** Σ(x − y)² over the sample. */
  readonly noise: number;
}

/** Between two candidates; 2^(−1/4) apart, down to 1/45 of the full range. */
const shrinkage = 2 ** -0.25;
const candidates = 23;

/** Σ(x − y)² of a sample on a grid. */
export function gridNoise(row: ArrayLike<number>, grid: Grid, step: number, zeroPoint: number): number {
  let noise = 0;
  for (let i = 0; i < row.length; i++) {
    const x = row[i] ?? 0;
    const code = clamp(roundHalfEven(x / step) + zeroPoint, grid.quantMin, grid.quantMax);
    noise += (x - (code - zeroPoint) * step) ** 2;
  }
  return noise;
}

/** The best of the candidates; undefined for a sample of zeros. */
export function optimalGrid(row: ArrayLike<number>, grid: Grid): OptimalGrid | undefined {
  let low = 0;
  let high = 0;
  for (let i = 0; i < row.length; i++) {
    low = Math.min(low, row[i] ?? 0);
    high = Math.max(high, row[i] ?? 0);
  }
  if (high - low <= 0 || !Number.isFinite(high - low)) return undefined;
  let best: OptimalGrid | undefined;
  for (let i = 0, share = 1; i < candidates; i++, share *= shrinkage) {
    const { step, zeroPoint } = gridOfRange(grid, low * share, high * share);
    const noise = gridNoise(row, grid, step, zeroPoint);
    if (best === undefined || noise < best.noise) best = { step, noise };
  }
  return best;
}

function gridOfRange({ quantMin, quantMax, affine }: Grid, low: number, high: number) {
  if (affine) {
    const step = (high - low) / (quantMax - quantMin);
    return { step, zeroPoint: clamp(quantMin - roundHalfEven(low / step), quantMin, quantMax) };
  }
  const above = quantMax > 0 ? high / quantMax : 0;
  const below = quantMin < 0 ? low / quantMin : 0;
  return { step: Math.max(above, below), zeroPoint: 0 };
}
