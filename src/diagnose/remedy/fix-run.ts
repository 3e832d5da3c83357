/** The fix of one run: the remedies of its findings, trained one after the other from where the run began. */

import { type ConfigChanges, withChanges } from "../../config/changes.ts";
import { configToYaml } from "../../config/config.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import { ConfigError, FileFormatError } from "../../errors.ts";
import type { Remedy } from "../../runs/finding.ts";
import { runPaths } from "../../runs/folder.ts";
import { readRunRecord } from "../../runs/record.ts";
import { startOfRun } from "../../runs/remedy-command.ts";
import { keptFolder } from "../../train/kept-run.ts";
import type { RunListeners } from "../../train/run.ts";
import { shortfallOf, testSamplesOf } from "../confidence/expectation.ts";
import type { RunDiagnosis } from "../diagnose-run.ts";
import { type FixSearchResult, type FixStep, laidOver, remediesOf, searchFix } from "./search.ts";
import { noiseOf, requireRemedies, trainRemedy } from "./trial.ts";

/** How the remedies are tried, and who is notified. */
export interface FixRunOptions {
  /** Remedies to try at most; default 4. */
  readonly remedies?: number;
  /** Before the first training. */
  readonly onStart?: (start: FixStart) => void;
  /** Before each training; its listeners. */
  readonly onTraining?: (remedies: readonly Remedy[]) => RunListeners;
  readonly onStep?: (step: FixStep, left: number) => void;
}

/** What a fix search begins with. */
export interface FixStart {
  readonly before: number;
  readonly goal: number;
  /** Smallest gain for which a remedy is kept. */
  readonly margin: number;
  readonly remedies: readonly Remedy[];
}

/** The fix of a run. */
export interface RunFix extends FixSearchResult {
  /** All changes of the smallest sufficient set; none where no remedy helps. */
  readonly changes: ConfigChanges;
  /** The run that was trained with them; null where there is none. */
  readonly folder: string | null;
}

const mostRemedies = 4;
/** The smallest gain that counts where the metric is no share of samples. */
const leastGain = 0.005;

/**
 * Tries the remedies of a run's findings, each as long as the run and with its seed, and finds the smallest set that suffices.
 * The trainings are kept in the run's folder `fix`: an interrupted search resumes when it is called again.
 *
 * @throws ConfigError for a run that is not finished, has no findings, or a fault that no configuration repairs;
 *   InterruptedError when the signal of a training's listeners stopped it.
 *
 * @example
 * const fix = await fixRun(await diagnoseRun(runFolder, { engine }));
 * console.log(fix.before, fix.after, fix.changes); // 0.443 0.775 { "quantization.reduceRange": false }
 */
export async function fixRun(diagnosis: RunDiagnosis, options: FixRunOptions = {}): Promise<RunFix> {
  const { folder, findings, input } = diagnosis;
  const paths = runPaths(folder);
  const { summary } = await readRunRecord(paths);
  requireRemedies(folder, summary !== undefined, findings);
  const settings = settingsOf(diagnosis);
  const before = summary?.accuracy ?? Number.NaN;
  // Without a float run, what spoiled the training spoiled the weights in float too: there is no accuracy to reach.
  const shortfall = input.history === undefined ? undefined : shortfallOf(input);
  const samples = testSamplesOf(input);
  const goal = shortfall === undefined ? 1 : shortfall.float - shortfall.expectedLoss;
  const margin = input.facts.classes === undefined ? leastGain : noiseOf(before, goal, samples);
  const remedies = remediesOf(findings, options.remedies ?? mostRemedies);
  options.onStart?.({ before, goal, margin, remedies });
  const training = (set: readonly Pick<Remedy, "changes">[]) => ({
    config: withChanges(settings, laidOver(set)),
    parent: paths.fix,
    name: nameOf(set),
  });
  // Remedies that contradict each other have no configuration; the training then gives the reason.
  const configurationOf = (set: readonly Remedy[]) => {
    try {
      return configToYaml(training(set).config);
    } catch (error) {
      if (error instanceof ConfigError) return JSON.stringify(laidOver(set));
      throw error;
    }
  };
  const search = await searchFix({
    remedies,
    before,
    goal,
    margin,
    measure: async (set) => {
      const { accuracy, problem } = await trainRemedy(
        () => training(set),
        () => options.onTraining?.(set) ?? {},
      );
      return problem ?? accuracy ?? "it was not trained";
    },
    configurationOf,
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  });
  const kept = search.steps.filter((step) => step.kept);
  const changes = laidOver(kept);
  return { ...search, changes, folder: kept.length === 0 ? null : keptFolder(training(kept)) };
}

/** The settings of a run, with a start that is found from every folder. */
export function settingsOf({ folder, input }: Pick<RunDiagnosis, "folder" | "input">): TrainingConfig {
  const { settings } = input.facts;
  if (settings === undefined) throw new FileFormatError("the settings of the run are not known", { where: folder });
  const from = startOfRun({ folder, from: settings.from });
  return from === undefined ? settings : { ...settings, from };
}

/** `reduceRange+overrides`: the keys that change, for a folder's name. */
export function nameOf(remedies: readonly Pick<Remedy, "changes">[]): string {
  const keys = Object.keys(laidOver(remedies)).map((path) => path.split(".").at(-1) ?? path);
  return [...new Set(keys)].slice(0, 3).join("+");
}
