/** `--verify` and `--fix`: trainings that try the remedies of a run's findings, with their progress and their results. */

import type { RunDiagnosis } from "../../../diagnose/diagnose-run.ts";
import { fixRun, type RunFix } from "../../../diagnose/remedy/fix-run.ts";
import type { FixStep } from "../../../diagnose/remedy/search.ts";
import type { CheckedFindings, VerifiedFinding } from "../../../diagnose/remedy/verdict.ts";
import { verifyRun } from "../../../diagnose/remedy/verify-run.ts";
import { InterruptedError } from "../../../errors.ts";
import { repeatCommand } from "../../../runs/remedy-command.ts";
import { isShare } from "../../../train/loop/metric-text.ts";
import type { MetricName } from "../../../train/loop/metrics.ts";
import type { RunListeners } from "../../../train/run.ts";
import { interruptible } from "../../interrupt.ts";
import { print } from "../../output.ts";
import type { JobStage } from "../../view/job-stages.ts";
import { Progress } from "../../view/progress.ts";
import { showRun } from "../../view/show-run.ts";
import { shownPath } from "../../view/shown-path.ts";

/** What is printed of the trainings. */
export interface TryOptions {
  /** Nothing: the results go into one JSON document. */
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Checks the first findings by short trainings, and prints a line for each. */
export function verifyFindings(diagnosis: RunDiagnosis, options: TryOptions): Promise<CheckedFindings> {
  const metric = metricOfRun(diagnosis);
  return withProgress(diagnosis, options, ({ begin, next, say }) =>
    verifyRun(diagnosis, {
      onStart: (trainings, steps) => begin(Array.from({ length: trainings }, () => steps)),
      onTraining: (title, { train }) => next(title, train.epochs),
      onChecked: (finding, result) =>
        say(
          typeof result === "string"
            ? `${finding.remedy?.title ?? finding.title}: not checked: ${result}`
            : checkText(result, metric),
        ),
    }),
  );
}

/** Searches the smallest set of remedies that fixes the run, and prints what each gained. */
export async function fixFindings(diagnosis: RunDiagnosis, options: TryOptions): Promise<RunFix> {
  const { folder, input } = diagnosis;
  const metric = metricOfRun(diagnosis);
  const steps = diagnosis.step;
  const epochs = input.facts.settings?.train.epochs ?? 1;
  const fix = await withProgress(diagnosis, options, ({ begin, next, say }) =>
    fixRun(diagnosis, {
      onStart: ({ before, goal, remedies }) => {
        begin(remedies.map(() => steps));
        say(`${shownPath(folder)}: ${short(metric, before)}${goal < 1 ? `, goal ${short(metric, goal)}` : ""}`);
      },
      onTraining: (remedies) => next(remedies.at(-1)?.title ?? "remedy", epochs),
      onStep: (step) => say(stepText(step, metric)),
    }),
  );
  if (!options.json) print(...fixText(fix, diagnosis, metric));
  return fix;
}

/** Returns the command that trains the run again with all changes of a fix; undefined where there are none. */
export function commandOfFix({ changes }: RunFix, { folder, input }: RunDiagnosis): string | undefined {
  return repeatCommand({ folder, from: input.facts.settings?.from, show: shownPath }, changes, "fixed");
}

function fixText(fix: RunFix, diagnosis: RunDiagnosis, metric: MetricName): string[] {
  const { before, after, goal, steps } = fix;
  if (steps.length === 0) return ["It is within what its bits may be expected to cost: there is nothing to fix."];
  const kept = steps.filter((step) => step.kept).map(({ title }) => title);
  const command = commandOfFix(fix, diagnosis);
  if (command === undefined || fix.folder === null)
    return ["No remedy helps by more than the noise of the test samples."];
  const isEnough = after >= goal - 1e-9 || goal >= 1 ? "" : `, short of the goal ${short(metric, goal)}`;
  return [
    `The smallest sufficient set: ${kept.join("; ")}: ${short(metric, before)} → ${short(metric, after)}${isEnough}`,
    `  ${command}`,
    `That run is in ${shownPath(fix.folder)}.`,
  ];
}

function stepText({ title, before, after, kept, reason }: FixStep, metric: MetricName): string {
  if (after === null) return `  ${title}: ${reason}`;
  return `  ${title}: ${short(metric, before)} → ${short(metric, after)}, ${kept ? "kept" : "no help"}`;
}

/** `lower the learning rate: 12.0 % → 61.3 % in 60 steps, control 12.4 %: confirmed` */
function checkText({ finding, check, verdict }: VerifiedFinding, metric: MetricName): string {
  const start = check.restarted ? " from the start of the run" : "";
  const numbers = `${short(metric, check.before)} → ${short(metric, check.remedied)} in ${check.steps} steps${start}`;
  return `${finding.remedy?.title ?? finding.title}: ${numbers}, control ${short(metric, check.control)}: ${verdict}`;
}

function short(metric: MetricName, value: number): string {
  return isShare(metric) ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
}

function metricOfRun({ gap, input }: RunDiagnosis): MetricName {
  return gap?.metric ?? (input.facts.classes === undefined ? "r2" : "accuracy");
}

/** How trainings are shown, one stage each. */
interface Shown {
  /** The steps of each training that may come. */
  readonly begin: (steps: readonly number[]) => void;
  readonly next: (title: string, epochs: number) => RunListeners;
  readonly say: (text: string) => void;
}

/** Runs trainings with a progress line and Ctrl-C in hand; the command that is given again resumes them. */
async function withProgress<Result>(
  { folder }: RunDiagnosis,
  { json, quiet }: TryOptions,
  job: (shown: Shown) => Promise<Result>,
): Promise<Result> {
  let progress: Progress | undefined;
  const stages: JobStage[] = [];
  let stage = -1;
  try {
    return await interruptible((signal) =>
      job({
        begin: (steps) => {
          stages.push(...steps.map((totalSteps, index) => ({ name: `training ${index + 1}`, totalSteps })));
          progress = new Progress({ stages, silent: json || quiet });
        },
        next: (title, epochs) => {
          stage++;
          const { onStep, onEpoch } = progress === undefined ? {} : showRun(progress, stage, epochs);
          return {
            signal,
            onStart: ({ step, totalSteps }) => {
              stages[stage] = { name: title, totalSteps };
              progress?.message(step > 0 ? `${title}: resuming at step ${step} of ${totalSteps}` : title);
            },
            ...(onStep === undefined ? {} : { onStep }),
            ...(onEpoch === undefined ? {} : { onEpoch }),
          };
        },
        say: (text) => {
          progress?.close();
          if (!json) print(text);
        },
      }),
    );
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    throw new InterruptedError(error.message, {
      where: folder,
      remedy: "The same command resumes; what was trained is kept.",
      cause: error,
    });
  } finally {
    progress?.close();
  }
}
