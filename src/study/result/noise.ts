/** What the spread over seeds leaves open: whether the difference of two mean accuracies, or of a mean and a limit, is noise. */

/** A mean accuracy over seeds. */
export interface SeedMean {
  readonly accuracy: number;
  /** Sample standard deviation over seeds; null with fewer than two. */
  readonly spread: number | null;
  /** Seeds that gave a result. */
  readonly count: number;
}

/** How a difference compares with the spread between seeds; "unknown" where there is one seed only. */
export type Verdict = "clear" | "noise" | "unknown";

/** A difference within two standard errors is called noise: chance alone gives a larger one in 1 of 20 cases. */
const standardErrors = 2;

function squaredError({ spread, count }: SeedMean): number | null {
  return spread === null ? null : spread ** 2 / count;
}

/** Compares two means. */
export function compareMeans(one: SeedMean, other: SeedMean): Verdict {
  const [a, b] = [squaredError(one), squaredError(other)];
  if (a === null || b === null) return "unknown";
  return verdictOf(one.accuracy - other.accuracy, a + b);
}

/** Compares a mean with a number that is taken as exact. */
export function compareWithLimit(mean: SeedMean, limit: number): Verdict {
  const error = squaredError(mean);
  return error === null ? "unknown" : verdictOf(mean.accuracy - limit, error);
}

function verdictOf(difference: number, squared: number): Verdict {
  return Math.abs(difference) <= standardErrors * Math.sqrt(squared) ? "noise" : "clear";
}
