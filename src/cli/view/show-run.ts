/** A training run's progress on the command line, for every command that trains. */

import type { EpochProgress, StepProgress } from "../../train/loop/recipe.ts";
import type { RunListeners } from "../../train/run.ts";
import type { Progress } from "./progress.ts";
import type { EpochReport, StepReport } from "./progress-format.ts";

/** The listeners that show a run as stage `stage` of a job. */
export function showRun(
  progress: Progress,
  stage: number,
  epochs: number,
): Pick<Required<RunListeners>, "onStep" | "onEpoch"> {
  return {
    onStep: (step) => progress.step(stepReport(step, stage, epochs)),
    onEpoch: (epoch) => progress.epoch(epochReport(epoch, stage, epochs)),
  };
}

function stepReport(progress: StepProgress, stage: number, epochs: number): StepReport {
  return { ...progress, stage, epochs };
}

function epochReport(progress: EpochProgress, stage: number, epochs: number): EpochReport {
  return {
    stage,
    epochs,
    epoch: progress.epoch,
    trainLoss: progress.trainLoss,
    ...(progress.trainAccuracy === undefined ? {} : { trainAccuracy: progress.trainAccuracy }),
    testLoss: progress.test.loss,
    test: { metric: progress.test.metric, value: progress.test.accuracy },
    imagesPerSecond: progress.imagesPerSecond,
  };
}
