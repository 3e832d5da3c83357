/** The cure of one configuration of a study: remedies as trials of their own, kept in the study's folder. */
import { join } from "node:path";
import { writeFileAtomic } from "../data/atomic-file.ts";
import { ConfigError } from "../errors.ts";
import { configHash } from "../train/checkpoint.ts";
import { configToYaml } from "../train/config.ts";
import { bitsName } from "./answer.ts";
import { type Cure, cure } from "./cure.ts";
import type { Remedy } from "./finding.ts";
import { type Launch, launchWorker } from "./launch.ts";
import { gridPlaces, trialId } from "./plan.ts";
import { readStudy } from "./read-study.ts";
import { floatCheckpoint, scheduledRun } from "./scheduled-run.ts";
import { runTrials, type SchedulerOptions } from "./scheduler.ts";
import { type ConfigChanges, trialConfig } from "./study-config.ts";
import { lockStudy } from "./study-folder.ts";
import { readTrialState, trialPaths } from "./trial-files.ts";

export interface CureTrialOptions {
  /** The study's folder. */
  readonly folder: string;
  /** The trial to cure, by its name; it must have finished. */
  readonly trial: string;
  /** In the order to try them, the most likely cause's first. */
  readonly remedies: readonly Remedy[];
  /** Changes of every trial of the cure: fewer epochs, say. The trial itself is then measured with them, too. */
  readonly short?: ConfigChanges;
  /** Accuracy that counts as cured; default: float less the study's tolerance. */
  readonly goal?: number;
  /** Smallest gain that counts as help. */
  readonly margin?: number;
  readonly signal?: AbortSignal;
  readonly launch?: Launch;
  readonly onChange?: SchedulerOptions["onChange"];
}

/** A gain below this is as likely to come from another seed. */
const defaultMargin = 0.005;
const cureFolder = "cure";

/**
 * Tries the remedies and writes cure.json, which the report shows. A cure that was interrupted goes on where it was:
 * each set of remedies is a run whose name is made of its configuration.
 */
export async function cureTrial(options: CureTrialOptions): Promise<Cure> {
  const study = await readStudy(options.folder);
  const { paths, config, plan, result } = study;
  const place = gridPlaces(config).find((candidate) => trialId(candidate) === options.trial);
  const record = study.records.find(({ id }) => id === options.trial);
  if (place === undefined || record === undefined || record.accuracy === null) {
    throw new ConfigError(`there is no finished trial ${options.trial}`, {
      where: options.folder,
      remedy: `Finished trials: ${study.records.flatMap(({ id, accuracy }) => (accuracy === null ? [] : id)).join(", ")}.`,
    });
  }
  const unlock = lockStudy(paths);
  try {
    const measure = async (changes: ConfigChanges): Promise<number | null> => {
      const training = trialConfig(config, place, floatCheckpoint(config), { ...options.short, ...changes });
      const name = `${options.trial}_${configHash(configToYaml(training))}`;
      const run = { name, kind: cureFolder, parent: cureFolder, training, samples: plan.samples };
      const trial = await scheduledRun(paths, run);
      await runTrials({
        folder: paths.folder,
        trials: [trial],
        parallel: 1,
        retries: config.retries,
        earlyStopping: { ...config.earlyStopping, rule: "none" },
        launch: options.launch ?? launchWorker,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(options.onChange === undefined ? {} : { onChange: options.onChange }),
      });
      return (await readTrialState(trialPaths(join(paths.folder, cureFolder, name)))).accuracy;
    };
    const float = result.reference.float;
    const found = await cure({
      subject: `${record.recipe} ${bitsName(record)}`,
      remedies: options.remedies,
      before: options.short === undefined ? record.accuracy : ((await measure({})) ?? record.accuracy),
      goal: options.goal ?? (float === null ? 1 : float - config.tolerance),
      margin: options.margin ?? defaultMargin,
      measure: (remedies) => measure(Object.fromEntries(remedies.flatMap(({ changes }) => Object.entries(changes)))),
    });
    await writeFileAtomic(paths.cure, `${JSON.stringify(found, undefined, 1)}\n`);
    return found;
  } finally {
    unlock();
  }
}
