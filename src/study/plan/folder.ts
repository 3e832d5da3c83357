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
 *       study.db            an index of the files, made again from them whenever it is missing
 *       study.lock          the process that runs it
 *       report/             what `subbyte report` writes
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadPluginsOf } from "../../config/plugins.ts";
import type { ConfigSource } from "../../config/source.ts";
import { ConfigError, InputOutputError } from "../../errors.ts";
import { describeWriteFailure, writeFileAtomic } from "../../io/atomic-file.ts";
import { isAlive } from "../../io/processes.ts";
import { describeSystemError, systemErrorCode } from "../../io/system-error.ts";
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
  try {
    await mkdir(paths.trials, { recursive: true });
  } catch (cause) {
    throw describeWriteFailure(folder, cause);
  }
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
  const ignored = new Set(["parallel", "retries", "threads", "diagnose", "fix"]);
  const text = (value: unknown) => JSON.stringify(value) ?? "nothing";
  const now = new Map<string, unknown>(Object.entries(after));
  return Object.entries(before).find(([key, value]) => !ignored.has(key) && text(value) !== text(now.get(key)))?.[0];
}

/**
 * Takes a study for this process. A lock whose process is gone is taken over.
 *
 * @returns a function that gives the study back.
 */
export function lockStudy(paths: StudyPaths): () => void {
  for (let attempt = 0; ; attempt++) {
    try {
      const descriptor = openSync(paths.lock, "wx");
      writeSync(descriptor, `${process.pid}\n`);
      closeSync(descriptor);
      return () => rmSync(paths.lock, { force: true });
    } catch (cause) {
      if (systemErrorCode(cause) !== "EEXIST" || attempt > 2) {
        throw new InputOutputError(`cannot lock the study: ${describeSystemError(cause).reason}`, {
          where: paths.lock,
          cause,
        });
      }
    }
    const owner = lockOwner(paths.lock);
    if (owner !== undefined && owner !== process.pid && isAlive(owner)) {
      throw new ConfigError(`process ${owner} is running this study`, {
        where: paths.folder,
        remedy: `Wait for it, or stop it. If that process is not a study, remove ${paths.lock}.`,
      });
    }
    rmSync(paths.lock, { force: true });
  }
}

function lockOwner(file: string): number | undefined {
  try {
    const owner = Number(readFileSync(file, "utf8"));
    return Number.isInteger(owner) && owner > 0 ? owner : undefined;
  } catch {
    // It went away in the meantime: nobody's.
    return undefined;
  }
}
