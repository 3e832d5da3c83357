/** Everything that a study found, as one document: result.json, what `--json` prints, and what the report shows. */

import type { StudyPlan } from "../plan/plan.ts";
import type { FloatRecord, TrialRecord, TrialStatus } from "../plan/record.ts";
import type { StudyConfig } from "../plan/schema.ts";
import type { Fix } from "../repair/fix/fix.ts";
import { type AccuracyMap, accuracyMaps, type Reference } from "./accuracy-map.ts";
import { type Effects, effectsOf } from "./effects.ts";
import { bestWithin, type CostPoint, cheapestAbove, costPoints, paretoFront } from "./pareto.ts";
import { summarySentences } from "./summary.ts";

/** Without times and speeds: a study that was killed and resumed gives the same document, byte for byte. */
export interface StudyResult {
  readonly schemaVersion: 1;
  readonly reference: Reference;
  readonly float: FloatRecord | null;
  readonly floatCost: StudyPlan["float"];
  /** Trials of each status. */
  readonly counts: Readonly<Record<TrialStatus, number>>;
  readonly summary: readonly string[];
  readonly maps: readonly AccuracyMap[];
  readonly effects: readonly Effects[];
  readonly front: { readonly bitOperations: readonly CostPoint[]; readonly bytes: readonly CostPoint[] };
  /** The cheapest configuration within the tolerance of float, in bit operations. */
  readonly cheapest: CostPoint | null;
  /** The best one within the budget; without a budget the best of all. */
  readonly best: CostPoint | null;
  /** The fixes that were tried for failing trials. */
  readonly fixes: readonly Fix[];
  readonly trials: readonly Omit<TrialRecord, "timing" | "layers">[];
}

const statuses: readonly TrialStatus[] = ["finished", "stopped", "failed", "impossible", "unfinished", "waiting"];

/** Works out the result from what is known of the trials. */
export function studyResult(
  config: StudyConfig,
  plan: StudyPlan,
  float: FloatRecord | null,
  records: readonly TrialRecord[],
  fixes: readonly Fix[] = [],
): StudyResult {
  const reference = { float: float?.accuracy ?? null, chance: 1 / plan.classes, tolerance: config.tolerance };
  const maps = accuracyMaps(records, reference);
  const effects = maps.map(effectsOf);
  const points = costPoints(maps);
  const best = bestWithin(points, config.budget);
  const goal = reference.float ?? Math.max(0, ...points.map((point) => point.accuracy));
  const cheapest = cheapestAbove(points, goal - config.tolerance);
  const choices = points.filter((point) => bestWithin([point], config.budget) !== undefined);
  const hasBudget = config.budget.bitOperations !== undefined || config.budget.bytes !== undefined;
  return {
    schemaVersion: 1,
    reference,
    float,
    floatCost: plan.float,
    counts: countStatuses(records),
    summary: summarySentences({ reference, maps, effects, cheapest, forBudget: best, choices, hasBudget, fixes }),
    maps,
    effects,
    front: { bitOperations: paretoFront(points, "bitOperations"), bytes: paretoFront(points, "bytes") },
    cheapest: cheapest ?? null,
    best: best ?? null,
    fixes,
    trials: records.map(({ timing: _timing, layers: _layers, ...record }) => record),
  };
}

function countStatuses(records: readonly TrialRecord[]): StudyResult["counts"] {
  const counts = { waiting: 0, unfinished: 0, finished: 0, stopped: 0, failed: 0, impossible: 0 };
  for (const status of statuses) counts[status] = records.filter((record) => record.status === status).length;
  return counts;
}
