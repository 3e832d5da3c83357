/**
 * Which trials stop early, as a pure function of the accuracies so far.
 *
 * The usual rules compare a trial with those that happen to be finished, which depends on the machine's speed. Here a
 * trial is compared with the trials *before it in the study's order* alone, at the same epoch, so that a study that is
 * killed and started again, or runs more trials in parallel, stops the same trials at the same epochs. Trials do not
 * wait for a decision: one that is ahead of an earlier trial continues, and is truncated to the epoch of the decision.
 *
 * - `median` (Golovin et al., "Google Vizier", 2017, §3.2.2): stop when the best accuracy up to an epoch is below the
 *   median of the running means of the earlier trials up to that epoch;
 * - `asha` (Li et al., "Massively parallel hyperparameter tuning", 2018, stopping variant): rungs at
 *   grace·reduction^k epochs; stop at a rung when not among the best 1/reduction of the trials that have reached it.
 */
import { percent } from "../../base/percent.ts";
import { mean, median } from "../../base/statistics.ts";
import type { EarlyStopping } from "../plan/schema.ts";

/** The accuracies of a trial after its epochs, first epoch first. */
export interface TrialHistory {
  readonly id: string;
  readonly accuracies: readonly number[];
  /** Planned epochs; no trial stops at its last one. */
  readonly totalEpochs: number;
  /** Whether no further epoch will come: finished, failed or impossible. */
  readonly ended: boolean;
}

/** The epoch at which a trial was stopped, and why. */
export interface StopDecision {
  readonly epoch: number;
  readonly reason: string;
}

/** The stopped trials, and those that have been compared at every epoch. */
export interface StopDecisions {
  readonly stopped: ReadonlyMap<string, StopDecision>;
  /** Trials with a decision for every epoch so far. */
  readonly settled: ReadonlySet<string>;
}

/** Decides which trials stop. `trials` are in the study's order. */
export function decideStops(rule: EarlyStopping, trials: readonly TrialHistory[]): StopDecisions {
  const stopped = new Map<string, StopDecision>();
  const settled = new Set<string>();
  const earlier: { readonly accuracies: readonly number[]; readonly settledTo: number }[] = [];
  for (const trial of trials) {
    let known = trial.accuracies.length;
    let decision: StopDecision | undefined;
    for (let epoch = 1; epoch <= trial.accuracies.length && decision === undefined; epoch++) {
      if (rule.rule === "none" || epoch >= trial.totalEpochs) break;
      if (earlier.some((other) => other.settledTo < epoch)) {
        known = epoch - 1;
        break;
      }
      const others = earlier.map(({ accuracies }) => accuracies);
      const reason = reasonToStop(rule, epoch, trial.accuracies, others);
      if (reason !== undefined) decision = { epoch, reason };
    }
    const kept = decision === undefined ? trial.accuracies : trial.accuracies.slice(0, decision.epoch);
    const allDecided = known === trial.accuracies.length;
    if (decision !== undefined) stopped.set(trial.id, decision);
    if (decision !== undefined || allDecided) settled.add(trial.id);
    const isOver = decision !== undefined || (trial.ended && allDecided);
    earlier.push({ accuracies: kept, settledTo: isOver ? Number.POSITIVE_INFINITY : known });
  }
  return { stopped, settled };
}

function reasonToStop(
  rule: EarlyStopping,
  epoch: number,
  own: readonly number[],
  earlier: readonly (readonly number[])[],
): string | undefined {
  if (epoch < rule.graceEpochs) return undefined;
  const others = earlier.filter((accuracies) => accuracies.length >= epoch);
  const best = Math.max(...own.slice(0, epoch));
  if (rule.rule === "median") {
    if (others.length < rule.minimumTrials) return undefined;
    const middle = median(others.map((accuracies) => mean(accuracies.slice(0, epoch))));
    if (best >= middle - rule.slack) return undefined;
    return `after epoch ${epoch} its best accuracy was ${percent(best)}, the median of ${others.length} earlier trials ${percent(middle)}`;
  }
  if (!isRung(rule, epoch)) return undefined;
  const candidates = [...others.map((accuracies) => Math.max(...accuracies.slice(0, epoch))), best];
  const better = candidates.filter((accuracy) => accuracy > best).length;
  const allowed = Math.max(1, Math.floor(candidates.length / rule.reduction));
  if (candidates.length < rule.reduction || better < allowed) return undefined;
  return `at the rung of epoch ${epoch} it was number ${better + 1} of ${candidates.length}, and only the best ${allowed} continue`;
}

function isRung({ graceEpochs, reduction }: EarlyStopping, epoch: number): boolean {
  let rung = graceEpochs;
  while (rung < epoch) rung *= reduction;
  return rung === epoch;
}
