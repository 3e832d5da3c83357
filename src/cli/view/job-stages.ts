/** A job of several stages, one after another: what of it is left and what is done. */
import type { PartLeft } from "../../base/work-clock.ts";

/** A part of a job: a float training, a quantized one. */
export interface JobStage {
  readonly name: string;
  /** Steps from the stage's own start to its end, those done before a resume included. */
  readonly totalSteps: number;
  /** Time of a step in relation to the other stages'; 1 where nothing is known. */
  readonly cost?: number;
}

/** Returns a stage's `cost`, which is 1 by default. */
export function stageCost({ cost = 1 }: JobStage): number {
  return cost;
}

/** Returns the stages that are not over when `step` steps of the stage with this index are done. */
export function stagesLeft(stages: readonly JobStage[], stage: number, step: number): PartLeft<JobStage>[] {
  return stages.slice(stage).map((each, i) => ({
    kind: each,
    stepsLeft: Math.max(0, i === 0 ? each.totalSteps - step : each.totalSteps),
    isRunning: i === 0,
  }));
}

/** Returns the fraction of the whole job that is done, 0 to 1, by cost. */
export function fractionDone(stages: readonly JobStage[], stage: number, step: number): number {
  const total = stages.reduce((sum, each) => sum + each.totalSteps * stageCost(each), 0);
  const left = stagesLeft(stages, stage, step).reduce(
    (sum, { kind, stepsLeft }) => sum + stepsLeft * stageCost(kind),
    0,
  );
  return total === 0 ? 1 : 1 - Math.min(1, left / total);
}
