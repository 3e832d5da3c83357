/** The map: accuracy over weight bits and activation bits, with its spread over seeds. */
import { mean } from "../../base/statistics.ts";
import type { Levels, TrialRecord, TrialStatus } from "../plan/record.ts";

/** How an accuracy compares with float: within the tolerance, less, or nearer to chance than to float. */
export type Outcome = "kept" | "lost" | "collapsed";

/** A cell of the map. Only finished trials count. */
export interface MapCell {
  readonly weightBits: number;
  readonly activationBits: number;
  readonly levels: Levels;
  /** Finished trials. */
  readonly count: number;
  readonly mean: number | null;
  /** Sample standard deviation over seeds; null with fewer than two. */
  readonly spread: number | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly outcome: Outcome | null;
  /** Of the trials that gave no result, with the reasons. */
  readonly missing: readonly { readonly status: TrialStatus; readonly reason: string | null }[];
  readonly bitOperations: number | null;
  readonly bytes: number | null;
}

/** The cells of one recipe, rows of falling weight bits, each with falling activation bits. */
export interface AccuracyMap {
  readonly recipe: string;
  readonly weightBits: readonly number[];
  readonly activationBits: readonly number[];
  readonly rows: readonly (readonly MapCell[])[];
}

/** The references of accuracies: float and chance. */
export interface Reference {
  /** The float network's accuracy; null where there is none. */
  readonly float: number | null;
  /** Accuracy of a guess. */
  readonly chance: number;
  /** How far below float still counts as kept. */
  readonly tolerance: number;
}

/** Sample standard deviation; null with fewer than two values. */
export function spread(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** How an accuracy compares with the reference. */
export function outcomeOf(accuracy: number, { float, chance, tolerance }: Reference): Outcome | null {
  if (float === null) return null;
  // Accuracies are fractions of a few thousand: the sum's rounding must not decide.
  if (accuracy >= float - tolerance - 1e-9) return "kept";
  return accuracy < (float + chance) / 2 ? "collapsed" : "lost";
}

/** The map of each recipe, in the order that the recipes first appear in. */
export function accuracyMaps(records: readonly TrialRecord[], reference: Reference): AccuracyMap[] {
  const recipes = [...new Set(records.map((record) => record.recipe))];
  return recipes.map((recipe) => {
    const own = records.filter((record) => record.recipe === recipe);
    const axis = (pick: (record: TrialRecord) => number) => [...new Set(own.map(pick))].sort((a, b) => b - a);
    const weightBits = axis((record) => record.weightBits);
    const activationBits = axis((record) => record.activationBits);
    const rows = weightBits.map((weights) =>
      activationBits.map((activations) => {
        const trials = own.filter((record) => record.weightBits === weights && record.activationBits === activations);
        return cellOf(weights, activations, trials, reference);
      }),
    );
    return { recipe, weightBits, activationBits, rows };
  });
}

function cellOf(
  weightBits: number,
  activationBits: number,
  trials: readonly TrialRecord[],
  reference: Reference,
): MapCell {
  const values = trials.flatMap(({ accuracy }) => accuracy ?? []);
  const [first] = trials;
  const average = values.length === 0 ? null : mean(values);
  return {
    weightBits,
    activationBits,
    levels: first?.levels ?? { weights: null, activations: null },
    count: values.length,
    mean: average,
    spread: spread(values),
    minimum: average === null ? null : Math.min(...values),
    maximum: average === null ? null : Math.max(...values),
    outcome: average === null ? null : outcomeOf(average, reference),
    missing: trials.flatMap(({ status, reason }) => (status === "finished" ? [] : [{ status, reason }])),
    bitOperations: first?.cost?.bitOperations ?? null,
    bytes: first?.cost?.bytes ?? null,
  };
}
