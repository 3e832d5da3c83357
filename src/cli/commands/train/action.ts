/** What `subbyte train` does. */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { configToYaml, resolveTrainingConfig } from "../../../config/config.ts";
import { readConfigFile, readRunConfig } from "../../../config/file.ts";
import type { TrainingConfig } from "../../../config/schema/schema.ts";
import { integerObstacles } from "../../../convert/obstacles.ts";
import type { DatasetSplits, SkippedSample } from "../../../data/dataset/dataset.ts";
import { watchAndKeep } from "../../../diagnose/keep-findings.ts";
import type { RunWatch } from "../../../diagnose/watch-run.ts";
import { ConfigError } from "../../../errors.ts";
import { runPaths } from "../../../runs/folder.ts";
import { takenFromRun } from "../../../train/from-run.ts";
import { inputOf } from "../../../train/loop/evaluate.ts";
import { metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import { peakMemory } from "../../../train/memory.ts";
import { type RunListeners, type RunResult, type RunSummary, resumeRun, startRun } from "../../../train/run.ts";
import { loadData } from "../../../train/setup.ts";
import { uncalibratedNetwork } from "../../../train/uncalibrated.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson, printText } from "../../output.ts";
import { configurationOverrides, trainOverrides } from "../../train-overrides.ts";
import { checkTraining } from "../../training-check.ts";
import { checkLines } from "../../view/check-text.ts";
import { findingsText } from "../../view/findings-text.ts";
import { integerWarning } from "../../view/integers-text.ts";
import { Progress } from "../../view/progress.ts";
import { formatBytes } from "../../view/progress-format.ts";
import { showRun } from "../../view/show-run.ts";
import { tableLines } from "../../view/table.ts";
import type { TrainFlags } from "./train.ts";

/** Resolves the configuration and trains, or resumes a run that was stopped. */
export async function trainAction(flags: TrainFlags): Promise<void> {
  if (flags.resume !== undefined) {
    const folder = flags.resume === true ? await latestUnfinishedRun(flags.out) : flags.resume;
    checkResumed(flags, folder);
    const config = resolveTrainingConfig(await readRunConfig(runPaths(folder).config));
    report(await watch(flags, config, (listeners) => resumeRun(folder, listeners)), flags);
    return;
  }
  const source = flags.config === undefined ? undefined : await readConfigFile(flags.config);
  const overrides = trainOverrides(flags);
  const taken = await takenFromRun(source, overrides);
  if (taken.sentence !== null && flags.json !== true && flags.quiet !== true) note(taken.sentence);
  const config = resolveTrainingConfig(source, [...taken.overrides, ...overrides]);
  if (flags.printConfig === true || flags.dryRun === true) return printChecked(config, flags);
  const data = await loadData(config);
  if (flags.json !== true && flags.quiet !== true) {
    note(...data.notes);
    if (config.quantization !== null) note(...(await conversionWarning(config, data)));
  }
  const result = await watch(flags, config, (listeners) =>
    startRun(
      {
        config,
        parent: flags.out,
        data,
        ...defined({ source, name: flags.name }),
        ...(flags.existOk === true ? { existOk: true } : {}),
      },
      listeners,
    ),
  );
  report(result, flags);
}

/** Prints the configuration, and for --dry-run what opening its data and model finds: as comments, so that all is YAML. */
async function printChecked(config: TrainingConfig, flags: TrainFlags): Promise<void> {
  const check = flags.dryRun === true ? await checkTraining(config) : undefined;
  if (flags.json === true) {
    printJson({ schemaVersion: 1, config, ...(check === undefined ? {} : { check }) });
    return;
  }
  printText(configToYaml(config));
  if (check !== undefined) print(...checkLines(check, commentColumns()).map((line) => `# ${line}`));
}

/** Columns that a line after `# ` may take. */
function commentColumns(): number | undefined {
  const columns = outputColumns();
  return columns === undefined ? undefined : columns - 2;
}

/** One line before the training of a network that does not convert to integers. */
async function conversionWarning(config: TrainingConfig, data: DatasetSplits): Promise<string[]> {
  const warning = integerWarning(
    integerObstacles(await uncalibratedNetwork(config, data), { input: inputOf(data.train) }),
  );
  return warning === undefined ? [] : [`note: ${warning}`];
}

/**
 * A resumed run ends with the same bits as one that was never stopped, so nothing of its configuration can change.
 *
 * @throws ConfigError for flags that would change it, with the command that trains on from its weights.
 */
function checkResumed(flags: TrainFlags, folder: string): void {
  const overrides = configurationOverrides(flags);
  if (flags.config === undefined && overrides.length === 0) return;
  const file = flags.config === undefined ? [] : [`--config ${flags.config}`];
  const base = flags.config === undefined ? [`--config ${runPaths(folder).config}`] : file;
  const settings = new Set(overrides.flatMap(({ path, origin }) => (path === "from" ? [] : [origin])));
  throw new ConfigError("a resumed run keeps its own configuration", {
    where: [...file, ...new Set(overrides.map(({ origin }) => origin))].join(" "),
    remedy:
      `Leave that out to resume. To train on from its weights with other settings, start a new run with --from:\n` +
      `  subbyte train ${[...base, `--from ${folder}`, ...settings].join(" ")}`,
  });
}

/** Runs a training with its progress on stderr and Ctrl-C in hand. */
async function watch(
  flags: TrainFlags,
  config: TrainingConfig,
  job: (listeners: RunListeners) => Promise<RunResult>,
): Promise<RunResult> {
  const silent = flags.json === true || flags.quiet === true;
  let progress: Progress | undefined;
  let watched: RunWatch | undefined;
  const name = config.quantization === null ? "float" : config.quantization.preset;
  try {
    return await interruptible((signal) =>
      job({
        signal,
        onStart: ({ paths, step, totalSteps, device, notes }) => {
          progress = new Progress({ stages: [{ name, totalSteps }], silent });
          progress.message(...notes.map((text) => `note: ${text}`));
          const place = config.device === "cpu" ? "" : `, on ${device}`;
          progress.message(
            `${step > 0 ? `resuming at step ${step} of ${totalSteps}` : `${totalSteps} steps`}${place}, seed ${config.seed}, run in ${paths.folder}`,
          );
        },
        onStep: (step) => progress !== undefined && showRun(progress, 0, config.train.epochs).onStep(step),
        onEpoch: (epoch) => {
          if (progress === undefined) return;
          showRun(progress, 0, config.train.epochs).onEpoch(epoch);
          if (flags.diagnose === true && watched !== undefined) {
            progress.message(...findingsText(watched.findings(), { verbose: flags.verbose === true }));
          }
        },
        ...(flags.diagnose === false
          ? {}
          : {
              watch: (run) => {
                watched = watchAndKeep(run, { settings: config, ...defined({ from: config.from }) });
                return watched.watcher;
              },
            }),
      }),
    );
  } finally {
    progress?.close();
  }
}

function report({ summary, skipped }: RunResult, flags: TrainFlags): void {
  if (skipped.length > 0 && flags.quiet !== true) note(...skippedText(skipped));
  if (flags.json === true) {
    printJson(summary);
    return;
  }
  const { metric } = summary;
  const rows = [
    ["quantization", summary.quantization],
    [
      "levels of weights / activations",
      `${summary.levels.weights ?? "float"} / ${summary.levels.activations ?? "float"}`,
    ],
    [`test ${metricTitle(metric)}`, showMetric(metric, summary.accuracy)],
    [`best test ${metricTitle(metric)}`, showMetric(metric, summary.bestAccuracy)],
    ...(summary.top5Accuracy === undefined ? [] : [["test top-5 accuracy", showMetric(metric, summary.top5Accuracy)]]),
    ["test loss", summary.loss.toFixed(4)],
    ["steps", String(summary.steps)],
    ["images/s", summary.imagesPerSecond.toFixed(0)],
    ["waiting for data", waitingShare(summary)],
    ["peak memory", formatBytes(peakMemory())],
    ["run", summary.folder],
  ];
  print(...tableLines(["", summary.model], rows, outputColumns()));
}

/** The share of the training's time in which its next batch was not ready. */
function waitingShare({ seconds, dataSeconds }: RunSummary): string {
  return seconds === 0 ? "-" : `${((100 * dataSeconds) / seconds).toFixed(1)} %`;
}

/** How many samples could not be read, and why the first of them could not. */
function skippedText(skipped: readonly SkippedSample[]): string[] {
  const shown = skipped.slice(0, 3).map(({ name, reason }) => `  ${name}: ${reason}`);
  const rest = skipped.length > shown.length ? [`  and ${skipped.length - shown.length} more`] : [];
  return [`${skipped.length} ${skipped.length === 1 ? "sample was" : "samples were"} skipped:`, ...shown, ...rest];
}

/** The run that was changed last among those without a summary. @throws ConfigError when there is none. */
async function latestUnfinishedRun(parent: string): Promise<string> {
  const names = await readdir(parent).catch(() => []);
  const candidates: { readonly folder: string; readonly time: number }[] = [];
  for (const name of names) {
    const paths = runPaths(join(parent, name));
    const [config, summary] = await Promise.all([timeOf(paths.config), timeOf(paths.summary)]);
    if (config === undefined || summary !== undefined) continue;
    candidates.push({ folder: paths.folder, time: (await timeOf(paths.metrics)) ?? config });
  }
  candidates.sort((a, b) => b.time - a.time);
  const [latest] = candidates;
  if (latest === undefined) {
    throw new ConfigError("there is no stopped run to resume", {
      where: parent,
      remedy: "Name the run's folder: subbyte train --resume FOLDER.",
    });
  }
  return latest.folder;
}

async function timeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    (entry) => entry.mtimeMs,
    () => undefined,
  );
}
