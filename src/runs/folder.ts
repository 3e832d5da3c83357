/**
 * The folder of a run: everything needed to understand it, to repeat it and to resume it.
 *
 *     runs/resnet20_W4A4_20261123-114958/
 *       config.yaml         resolved, every default filled in
 *       config.source.yaml  as given
 *       env.json            versions, machine, seed, command line, git commit, plugin files
 *       metrics.jsonl       append-only; a resumed run truncates it to its checkpoint's step
 *       summary.json        the final numbers, what --json prints
 *       diagnosis.jsonl     periodic measurements of the tensors; truncated like metrics.jsonl
 *       findings.json       the findings of the diagnosis
 *       ablation.json       the accuracy with parts of the quantizers switched off, on request
 *       SHA256SUMS          the checksums of the files above, written when the run ends
 *       test-samples.txt    the test samples, one a line, where they were held out of the only part of the data
 *       checkpoints/        last, the one before it (previous), and best
 *       train.lock          the process that writes it
 *       fix/, verify/       runs with remedies of its findings, on request
 *
 * A new run writes into the folder of another one only on request, and never into a folder that is no run's.
 */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { promisify } from "node:util";
import { configToYaml } from "../config/config.ts";
import { modelTitle, type TrainingConfig } from "../config/schema/schema.ts";
import type { ConfigSource } from "../config/source.ts";
import { ConfigError } from "../errors.ts";
import {
  describeWriteFailure,
  isTemporary,
  makeFolder,
  removeFile,
  removeTemporaries,
  writeFileAtomic,
} from "../io/atomic-file.ts";
import { lockFolder } from "../io/lock.ts";
import { systemErrorCode } from "../io/system-error.ts";
import { pluginRecords } from "../plugins/plugin-files.ts";
import { bestCheckpoint, lastCheckpoint, previousCheckpoint } from "./checkpoint-names.ts";
import { packageVersion } from "./package-version.ts";

/** The paths inside of a run's folder. */
export type RunPaths = Readonly<ReturnType<typeof runPaths>>;

/** The name of the lock of a run's folder. */
export const lockName = "train.lock";

/** Returns the paths inside of a run's folder; creates nothing. */
export function runPaths(folder: string) {
  return {
    folder,
    config: join(folder, "config.yaml"),
    configSource: join(folder, "config.source.yaml"),
    environment: join(folder, "env.json"),
    metrics: join(folder, "metrics.jsonl"),
    summary: join(folder, "summary.json"),
    diagnosis: join(folder, "diagnosis.jsonl"),
    /** The findings of the diagnosis. */
    findings: join(folder, "findings.json"),
    /** The accuracy with parts of the quantizers switched off. */
    ablation: join(folder, "ablation.json"),
    /** The names of the test samples where they were held out at random. */
    testSamples: join(folder, "test-samples.txt"),
    checkpoints: join(folder, "checkpoints"),
    /** The checksums of what the run left when it ended. */
    sums: join(folder, "SHA256SUMS"),
    lock: join(folder, lockName),
    /** Runs that try the remedies of its findings, whole and short. */
    fix: join(folder, "fix"),
    verify: join(folder, "verify"),
  };
}

/** Returns the absolute path of the last checkpoint of the run in a folder. */
export function lastCheckpointOf(folder: string): string {
  return resolve(runPaths(folder).checkpoints, lastCheckpoint);
}

/** Takes a run's folder for this process. Returns a function that gives it back. @throws ConfigError as {@link lockFolder}. */
export function lockRun(paths: Pick<RunPaths, "lock">): () => void {
  return lockFolder(paths.lock, "run");
}

/** `resnet20_W4A4_20261123-114958`: model, bits and local time; `float` where nothing is quantized. */
export function defaultRunName(config: TrainingConfig, now: Date): string {
  const { quantization } = config;
  const bits = quantization === null ? "float" : `W${quantization.weightBits}A${quantization.activationBits}`;
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  return `${modelTitle(config.model)}_${bits}_${day}-${time}`;
}

async function currentCommit(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("git", ["rev-parse", "HEAD"], { timeout: 5000 });
    return stdout.trim();
  } catch {
    // Without git, or outside of a checkout, the commit is unknown.
    return null;
  }
}

/** Describes what a result may depend on besides its configuration. `versions` names the packages that the caller ran. */
export async function describeEnvironment(seed: number, versions: Readonly<Record<string, string>> = {}) {
  return {
    versions: { subbyte: packageVersion(), node: process.versions.node, ...versions },
    machine: {
      platform: platform(),
      arch: arch(),
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      memoryBytes: totalmem(),
    },
    seed,
    commandLine: process.argv.slice(2),
    gitCommit: await currentCommit(),
    startedAt: new Date().toISOString(),
  };
}

async function makeNamedFolder(parent: string, name: string, existOk: boolean): Promise<string> {
  const wanted = join(parent, name);
  try {
    await mkdir(parent, { recursive: true });
    if (existOk) {
      await mkdir(wanted, { recursive: true });
      return wanted;
    }
    // mkdir itself detects a taken name, so that two runs that start in the same second get separate folders.
    for (let number = 1; ; number++) {
      const folder = number === 1 ? wanted : `${wanted}-${number}`;
      try {
        await mkdir(folder);
        return folder;
      } catch (error) {
        if (systemErrorCode(error) !== "EEXIST") throw error;
      }
    }
  } catch (cause) {
    throw describeWriteFailure(wanted, cause);
  }
}

/** Options of the folder of a new run. */
export interface RunFolderOptions {
  /** The folder that runs are kept in. */
  readonly parent: string;
  readonly name: string;
  readonly config: TrainingConfig;
  readonly source?: ConfigSource | undefined;
  /** Whether to use an existing folder of this name; the results of another run in it are removed. */
  readonly existOk?: boolean;
  readonly versions?: Readonly<Record<string, string>>;
}

/**
 * Makes the folder of a new run, or finds that of another run which the new one is to replace. A taken name gets -2, -3, …
 *
 * @throws ConfigError for a folder that holds other files than those of a run.
 */
export async function claimRunFolder(options: Omit<RunFolderOptions, "config">): Promise<RunPaths> {
  const { parent, name, existOk = false } = options;
  if (!/^[^/\\\0]+$/.test(name) || name === "." || name === "..") {
    const remedy = "Name the parent folder with --out, and the run alone with --name.";
    throw new ConfigError(`${JSON.stringify(name)} is not the name of a run: it must be one folder's name`, { remedy });
  }
  const paths = runPaths(await makeNamedFolder(parent, name, existOk));
  if (existOk) await requireRun(paths);
  return paths;
}

/** What a run's folder may hold before its env.json: a start that was killed, and the notes of a study on its trial. */
const beforeEnvironment: ReadonlySet<string> = new Set([lockName, "worker.json", "outcome.json", "checkpoints"]);

async function requireRun(paths: RunPaths): Promise<void> {
  if (existsSync(paths.environment)) return;
  const names = await readdir(paths.folder).catch(() => []);
  const other = names.find((name) => !beforeEnvironment.has(name) && !isTemporary(name));
  if (other === undefined) return;
  throw new ConfigError(`the folder holds ${other}, but no run (it has no ${basename(paths.environment)})`, {
    where: paths.folder,
    remedy: "A run would replace files of these names. Give another --name or --out.",
  });
}

/**
 * Creates the folder of a new run and writes its configuration and environment; see {@link claimRunFolder} and
 * {@link fillRunFolder}.
 */
export async function createRunFolder(options: RunFolderOptions): Promise<RunPaths> {
  const paths = await claimRunFolder(options);
  await fillRunFolder(paths, options);
  return paths;
}

/** Removes the results of another run from a folder and writes the configuration and environment of a new one. */
export async function fillRunFolder(paths: RunPaths, options: RunFolderOptions): Promise<void> {
  const { config, source, existOk = false, versions = {} } = options;
  if (existOk) {
    for (const file of resultFiles(paths)) await removeFile(file);
    await removeTemporaries(paths.folder, { recursive: true });
  }
  await makeFolder(paths.checkpoints);
  // First: a folder with it is known as a run's.
  await writeJson(paths.environment, {
    ...(await describeEnvironment(config.seed, versions)),
    ...(config.plugins === undefined ? {} : { plugins: pluginRecords(config.plugins) }),
  });
  if (source !== undefined) await writeFileAtomic(paths.configSource, source.text);
  await writeFileAtomic(paths.config, configToYaml(config));
}

/** The files that a run writes until it ends, and its checkpoints. */
function resultFiles(paths: RunPaths): string[] {
  const { metrics, summary, diagnosis, findings, ablation, testSamples, sums, checkpoints } = paths;
  const states = [lastCheckpoint, previousCheckpoint, bestCheckpoint].map((name) => join(checkpoints, name));
  return [sums, summary, metrics, diagnosis, findings, ablation, testSamples, ...states];
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

/**
 * Returns the folder of the run that a path names: the path itself, or for a checkpoint the folder that its `checkpoints` lies in;
 * undefined for a checkpoint elsewhere.
 */
export function runFolderOf(path: string): string | undefined {
  if (existsSync(runPaths(path).config)) return path;
  const folder = dirname(dirname(path));
  return runPaths(folder).checkpoints === dirname(path) && existsSync(runPaths(folder).config) ? folder : undefined;
}

/**
 * Returns the folder of the run that the run in `folder` starts from, by the path in its configuration; undefined where there is
 * none. A trial names the float network of its study by a path inside of the study's folder.
 */
export function originFolder(folder: string, from: string): string | undefined {
  const places = isAbsolute(from) ? [from] : [from, join(folder, "..", "..", from)];
  return places.map(runFolderOf).find((found) => found !== undefined);
}
