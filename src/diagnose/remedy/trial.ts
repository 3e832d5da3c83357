/** What the trainings of remedies share: their accuracy, its noise, and the reasons why a run has nothing to try. */

import { ConfigError, DivergenceError } from "../../errors.ts";
import { type Finding, highConfidence } from "../../runs/finding.ts";
import { type KeptRun, keptRun } from "../../train/kept-run.ts";
import type { RunListeners } from "../../train/run.ts";

/** What a training with a remedy reached. */
export interface TrainedRemedy {
  /** 0 where it diverged; absent where it could not be trained. */
  readonly accuracy?: number;
  /** Why there is no accuracy of a whole training. */
  readonly problem?: string;
}

/** Trains with a remedy, unless that was done. */
export async function trainRemedy(run: () => KeptRun, listeners: () => RunListeners): Promise<TrainedRemedy> {
  try {
    return { accuracy: (await keptRun(run(), listeners())).accuracy };
  } catch (error) {
    if (error instanceof DivergenceError) return { accuracy: 0, problem: `diverged: ${error.message}` };
    if (error instanceof ConfigError) return { problem: `invalid: ${error.message}` };
    throw error;
  }
}

/** A smaller difference of two trainings is within what their random numbers make. */
const leastNoise = 0.01;

/**
 * Returns two standard errors of the difference of two accuracies, each measured on `samples` test samples; at least a point.
 *
 * @param a, b Shares, 0 to 1.
 *
 * @example
 * console.log(noiseOf(0.5, 0.5, 200)); // 0.1
 */
export function noiseOf(a: number, b: number, samples: number): number {
  // A share of 0 or 1 of few samples is not known exactly: one sample more of either kind.
  const variance = (share: number) => {
    const p = (Math.min(1, Math.max(0, share)) * samples + 1) / (samples + 2);
    return (p * (1 - p)) / samples;
  };
  return Math.max(leastNoise, 2 * Math.sqrt(variance(a) + variance(b)));
}

/**
 * Checks that the findings of a run leave something to try.
 *
 * @throws ConfigError for a run that has not ended, one without findings, and one whose first fault no configuration repairs.
 */
export function requireRemedies(folder: string, isFinished: boolean, findings: readonly Finding[]): void {
  if (!isFinished) {
    throw new ConfigError("the run is not finished, so that there is no accuracy to compare with", {
      where: folder,
      remedy: `Resume it with: subbyte train --resume ${folder}\n  One that diverged does not finish: train again with the command of its first finding.`,
    });
  }
  const [first] = findings;
  if (first === undefined) {
    throw new ConfigError("the run has no findings, so that there is no remedy to try", {
      where: folder,
      remedy: `What its quantizers cost: subbyte diagnose ${folder} --ablate`,
    });
  }
  const changes = ({ remedy }: Finding) => Object.keys(remedy?.changes ?? {}).length > 0;
  const least = first.confidence >= highConfidence ? highConfidence : 0;
  if (findings.some((finding) => finding.confidence >= least && changes(finding))) return;
  const advice = first.remedy === null ? "" : `: ${first.remedy.title}`;
  throw new ConfigError(`no configuration repairs what was found: ${first.title}`, {
    where: folder,
    remedy: `This is no fault of the quantization${advice}.`,
  });
}
