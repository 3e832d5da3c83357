/**
 * The folder of a study.
 *
 *     studies/thread/
 *       study.yaml          resolved; study.source.yaml as it was given
 *       plugins.json        the content of the plugin files, where there are any
 *       plan.json           the trials, with levels and costs
 *       float/              the run that all trials start from
 *       trials/lsq_W4A4_seed0/   a run's folder, with worker.json and, where it was stopped or failed, outcome.json
 *       result.json         every number of the study that does not depend on the machine's speed
 *       study.db            an index of the files, made again from them whenever it is missing or does not match study.db.sha256
 *       study.lock          the process that runs it
 *       report/             what `subbyte report` writes
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { loadPluginsOf } from "../../config/plugins.ts";
import type { ConfigSource } from "../../config/source.ts";
import { ConfigError } from "../../errors.ts";
import { makeFolder, writeFileAtomic } from "../../io/atomic-file.ts";
import { lockFolder } from "../../io/lock.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { runPaths } from "../../runs/folder.ts";
import { resolveStudyConfig, studyToYaml } from "./config.ts";
import { type StudyConfig, studySchema } from "./schema.ts";
import { formerTrialIds, type TrialKey } from "./trial-names.ts";

/** The paths inside of a study's folder. */
export type StudyPaths = Readonly<ReturnType<typeof studyPaths>>;

/** The name of the float stage's run inside of a study's folder. */
export const floatRunName = "float";

/** Returns the paths inside a study's folder; makes nothing. */
export function studyPaths(folder: string) {
  return {
    folder,
    config: join(folder, "study.yaml"),
    configSource: join(folder, "study.source.yaml"),
    plugins: join(folder, "plugins.json"),
    plan: join(folder, "plan.json"),
    trials: join(folder, "trials"),
    float: join(folder, floatRunName),
    result: join(folder, "result.json"),
    index: join(folder, "study.db"),
    lock: join(folder, "study.lock"),
    fixes: join(folder, "fix.json"),
    report: join(folder, "report"),
  };
}

/** Returns the folder of a trial: that of its id, or the one under an earlier version's name where only that exists. */
export function trialFolder({ trials }: StudyPaths, trial: TrialKey & { readonly id: string }): string {
  const names = [trial.id, ...formerTrialIds(trial)];
  return join(trials, names.find((name) => existsSync(join(trials, name))) ?? trial.id);
}

/** Whether a folder holds a study. */
export function isStudy(folder: string): boolean {
  return existsSync(studyPaths(folder).config);
}

/** The configuration that a study was made with. @throws ConfigError when there is none, or of another version. */
export async function readStudyConfig(folder: string): Promise<StudyConfig> {
  const { config } = studyPaths(folder);
  const text = await readFile(config, "utf8").catch((cause: unknown) => {
    throw new ConfigError(`there is no study: ${describeSystemError(cause).reason}`, {
      where: config,
      remedy: "Name the folder of a study (it holds study.yaml), or start one with subbyte study --out FOLDER.",
      cause,
    });
  });
  const source = { name: config, text };
  await loadPluginsOf(source);
  return resolveStudyConfig(source);
}

/**
 * Makes the folder of a study, or finds that of the same study.
 *
 * @throws ConfigError when the folder holds another study.
 */
export async function createStudyFolder(
  folder: string,
  config: StudyConfig,
  source?: ConfigSource,
): Promise<{ readonly paths: StudyPaths; readonly isNew: boolean }> {
  const paths = studyPaths(folder);
  if (isStudy(folder)) {
    const before = await readStudyConfig(folder);
    const difference = firstDifference(before, config);
    if (difference === undefined) {
      if (before.fix === null && config.fix !== null) await addFix(folder, before, config.fix);
      return { paths, isNew: false };
    }
    throw new ConfigError(`the folder holds a study with another ${difference}`, {
      where: folder,
      remedy: `Resume that one: subbyte study --resume ${folder}. Or give another folder to --out.`,
    });
  }
  await requireOwnFolder(paths);
  await makeFolder(paths.trials);
  if (source !== undefined) await writeFileAtomic(paths.configSource, source.text);
  await writeFileAtomic(paths.config, studyToYaml(config));
  return { paths, isNew: true };
}

/** Makes a study that had no fix search search for fixes from now on. */
export async function addFix(folder: string, config: StudyConfig, fix?: StudyConfig["fix"]): Promise<void> {
  const wanted = fix ?? studySchema.shape.fix.parse({});
  await writeFileAtomic(studyPaths(folder).config, studyToYaml({ ...config, fix: wanted }));
}

/** The first key that two configurations differ in, leaving out what does not change any result. */
function firstDifference(before: StudyConfig, after: StudyConfig): string | undefined {
  const ignored = new Set(["parallel", "retries", "threads", "diagnose", "stopOnFault", "fix"]);
  const text = (value: unknown) => JSON.stringify(value) ?? "nothing";
  const now = new Map<string, unknown>(Object.entries(after));
  return Object.entries(before).find(([key, value]) => !ignored.has(key) && text(value) !== text(now.get(key)))?.[0];
}

/** Refuses a folder that holds a run, or a file that a study would replace. */
async function requireOwnFolder(paths: StudyPaths): Promise<void> {
  const { folder, plan, plugins, result, index, fixes, trials, float } = paths;
  const run = runPaths(folder);
  if (existsSync(run.environment) && existsSync(run.config)) {
    throw new ConfigError("the folder holds a run, and a study would mix with it", {
      where: folder,
      remedy: otherFolder,
    });
  }
  // A study that was killed while its folder was made leaves an empty folder for its trials.
  const hasTrials = (await readdir(trials).catch(() => [])).length > 0;
  const own = [plan, plugins, result, index, fixes, float].filter((file) => existsSync(file));
  const [taken] = hasTrials ? [...own, trials] : own;
  if (taken === undefined) return;
  throw new ConfigError(`the folder holds ${basename(taken)}, but no study`, { where: folder, remedy: otherFolder });
}

const otherFolder = "Give another folder to --out.";

/** Takes a study for this process. Returns a function that gives it back. @throws ConfigError as {@link lockFolder}. */
export function lockStudy(paths: StudyPaths): () => void {
  return lockFolder(paths.lock, "study");
}
