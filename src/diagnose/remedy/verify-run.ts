/** The counterfactual check of a run's findings: short trainings with a remedy, and a control of the same length without it. */

import { defined } from "../../base/defined.ts";
import { withChanges } from "../../config/changes.ts";
import { configToYaml, resolveTrainingConfig } from "../../config/config.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { Finding } from "../../runs/finding.ts";
import { lastCheckpointOf, runPaths } from "../../runs/folder.ts";
import { readRunRecord } from "../../runs/record.ts";
import { startOfRun } from "../../runs/remedy-command.ts";
import type { RunListeners } from "../../train/run.ts";
import { shortfallOf, testSamplesOf } from "../confidence/expectation.ts";
import { actsAtStart } from "../diagnose.ts";
import type { RunDiagnosis } from "../diagnose-run.ts";
import { nameOf, settingsOf } from "./fix-run.ts";
import { atLength, shortLength } from "./short-run.ts";
import { requireRemedies, type TrainedRemedy, trainRemedy } from "./trial.ts";
import { type CheckedFindings, type Counterfactual, type VerifiedFinding, verified, withChecks } from "./verdict.ts";

/** How the findings are checked, and who is notified. */
export interface VerifyRunOptions {
  /** Before the first training: how many there may be, and the steps of each. */
  readonly onStart?: (trainings: number, steps: number) => void;
  /** Before each training; its listeners. */
  readonly onTraining?: (title: string, config: TrainingConfig) => RunListeners;
  /** After each check; a text is the reason why there is no result. */
  readonly onChecked?: (finding: Finding, result: VerifiedFinding | string) => void;
}

const mostChecks = 3;

/**
 * Checks the first findings of a run, at most 3 that have a remedy. Both arms of a check begin where the run began, if that was
 * with the weights of another run or if the cause acts there, else with the run's last weights; they have a fifth of the run's steps, at
 * least 50. They are kept in the run's folder `verify`, so that the same call returns the same at once.
 *
 * @throws ConfigError for a run that is not finished, has no findings, or a fault that no configuration repairs;
 *   InterruptedError when the signal of a training's listeners stopped it.
 *
 * @example
 * const { findings } = await verifyRun(await diagnoseRun(runFolder, { engine }));
 * console.log(findings[0]?.confidence);
 */
export async function verifyRun(diagnosis: RunDiagnosis, options: VerifyRunOptions = {}): Promise<CheckedFindings> {
  const { folder, findings, input } = diagnosis;
  const paths = runPaths(folder);
  const { summary } = await readRunRecord(paths);
  requireRemedies(folder, summary !== undefined, findings);
  const settings = settingsOf(diagnosis);
  const before = summary?.accuracy ?? Number.NaN;
  const samples = testSamplesOf(input);
  const shortfall = input.history === undefined ? undefined : shortfallOf(input);
  const goal = shortfall === undefined ? undefined : shortfall.float - shortfall.expectedLoss;
  const { batchSize, epochs } = settings.train;
  const inTraining = input.data?.train.count ?? settings.data.trainLimit ?? batchSize;
  const lengthOf = (batch: number) => shortLength({ samples: inTraining, batchSize: batch, epochs });
  const chosen = findings.filter(({ remedy }) => Object.keys(remedy?.changes ?? {}).length > 0).slice(0, mostChecks);
  options.onStart?.(2 * chosen.length, lengthOf(batchSize).steps);
  const known = new Map<string, Promise<TrainedRemedy>>();
  const measure = (name: string, title: string, config: TrainingConfig) => {
    const key = configToYaml(config);
    const listeners = () => options.onTraining?.(title, config) ?? {};
    const result = known.get(key) ?? trainRemedy(() => ({ config, parent: paths.verify, name }), listeners);
    known.set(key, result);
    return result;
  };
  const checks = new Map<Finding, Counterfactual>();
  for (const finding of chosen) {
    const arms = armsOf(finding);
    const title = finding.remedy?.title ?? finding.title;
    const control =
      arms.control === undefined ? { accuracy: before } : await measure("control", "control", arms.control);
    const remedied = await measure(nameOf([{ changes: finding.remedy?.changes ?? {} }]), title, arms.remedied);
    if (remedied.accuracy === undefined || control.accuracy === undefined) {
      options.onChecked?.(finding, remedied.problem ?? control.problem ?? "it was not trained");
      continue;
    }
    const { restarted, steps } = arms;
    const numbers = { before, remedied: remedied.accuracy, control: control.accuracy };
    const check = { ...numbers, ...defined({ goal }), steps, restarted, samples };
    checks.set(finding, check);
    options.onChecked?.(finding, verified(finding, check));
  }
  return withChecks(findings, (finding) => checks.get(finding));

  /** The configurations of both arms; no control: it is the run itself. */
  function armsOf({ cause, remedy }: Finding) {
    const changes = remedy?.changes ?? {};
    if (changes["train.epochs"] !== undefined) {
      // A remedy of the length acts only at its whole length.
      const remedied = withChanges(settings, changes);
      const perEpoch = Math.floor(inTraining / remedied.train.batchSize);
      return { remedied, control: undefined, restarted: true, steps: perEpoch * remedied.train.epochs };
    }
    const batch = changes["train.batchSize"];
    const length = lengthOf(Math.max(batchSize, typeof batch === "number" ? batch : 0));
    // Quantizers start again from the weights, which those of a quantized run do not always survive without their scales:
    // channels that the trained scales had silenced come back.
    const restarted = settings.from !== undefined || actsAtStart(cause) || changes.from !== undefined;
    const start = restarted ? settings : continued(settings);
    const short = (config: TrainingConfig) => resolved(atLength(config, length));
    return { remedied: short(withChanges(start, changes)), control: short(start), restarted, steps: length.steps };
  }

  /** The run's settings with its last weights as the start; the teacher stays who it was. */
  function continued(config: TrainingConfig): TrainingConfig {
    const { distillation } = config.train;
    const teacher = distillation?.teacher ?? startOfRun({ folder, from: config.from });
    const taught =
      distillation === undefined || teacher === undefined ? {} : { distillation: { ...distillation, teacher } };
    return { ...config, from: lastCheckpointOf(folder), train: { ...config.train, ...taught } };
  }
}

function resolved(config: TrainingConfig): TrainingConfig {
  return resolveTrainingConfig({ name: "configuration", text: configToYaml(config) });
}
