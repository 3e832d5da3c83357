/** What `subbyte train` does. */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { configToYaml, resolveTrainingConfig } from "../../../config/config.ts";
import { readConfigFile, readRunConfig } from "../../../config/file.ts";
import type { TrainingConfig } from "../../../config/schema/schema.ts";
import { integerObstacles } from "../../../convert/obstacles.ts";
import type { DatasetSplits } from "../../../data/dataset/dataset.ts";
import { earlyLines } from "../../../diagnose/early-findings.ts";
import { sourceOfWeights } from "../../../diagnose/facts.ts";
import type { DiagnosisInput } from "../../../diagnose/input.ts";
import { watchAndKeep } from "../../../diagnose/keep-findings.ts";
import type { RunWatch } from "../../../diagnose/watch-run.ts";
import { ConfigError } from "../../../errors.ts";
import { runPaths } from "../../../runs/folder.ts";
import { checkGradients } from "../../../train/fit/untrained-parts.ts";
import { uncalibratedNetwork } from "../../../train/forecast/uncalibrated.ts";
import { takenFromRun } from "../../../train/from-run.ts";
import { inputOf } from "../../../train/loop/evaluate.ts";
import { type RunListeners, type RunPhase, type RunResult, resumeRun, startRun } from "../../../train/run.ts";
import { loadData } from "../../../train/setup.ts";
import { notesOnReplaced } from "../../flag-overrides.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson, printNotesOn, printText } from "../../output.ts";
import { configurationOverrides, trainOverrides } from "../../train-overrides.ts";
import { checkTraining, type TrainingCheck } from "../../training-check.ts";
import { checkLines } from "../../view/check-text.ts";
import { findingsText } from "../../view/findings-text.ts";
import { integerWarning } from "../../view/integers-text.ts";
import { Progress } from "../../view/progress.ts";
import { sampleWord } from "../../view/progress-format.ts";
import { showRun } from "../../view/show-run.ts";
import { WaitingLine } from "../../view/waiting-line.ts";
import { withDefaultResidualBits } from "../convert/residual-bits.ts";
import { reportRun } from "./report.ts";
import { measureStart } from "./start.ts";
import type { TrainFlags } from "./train.ts";

/** Resolves the configuration and trains, or resumes a run that was stopped. */
export async function trainAction(flags: TrainFlags): Promise<void> {
  if (flags.stopOnFault === true && flags.diagnose === false) {
    throw new ConfigError("a run that is not measured has no findings to stop at", {
      where: "--stop-on-fault",
      remedy: "Leave --no-diagnose out.",
    });
  }
  if (flags.resume !== undefined) {
    const folder = flags.resume === true ? await latestUnfinishedRun(flags.out) : flags.resume;
    checkResumed(flags, folder);
    const config = resolveTrainingConfig(await readRunConfig(runPaths(folder).config));
    const { result, input } = await watch(flags, config, (listeners) => resumeRun(folder, listeners));
    reportRun(result, { flags, converts: true, input });
    return;
  }
  const source = flags.config === undefined ? undefined : await readConfigFile(flags.config);
  const overrides = trainOverrides(flags);
  printNotesOn(notesOnReplaced(overrides), flags);
  const taken = await takenFromRun(source, overrides);
  if (taken.sentence !== null && flags.json !== true && flags.quiet !== true) note(taken.sentence);
  const config = resolveTrainingConfig(source, [...taken.overrides, ...overrides]);
  if (flags.printConfig === true || flags.dryRun === true) return printChecked(config, flags);
  const data = await loadData(config);
  if (flags.json !== true && flags.quiet !== true) note(...data.notes);
  checkGradients(config, data);
  const warning = config.quantization === null ? undefined : await conversionWarning(config, data);
  if (warning !== undefined && flags.json !== true && flags.quiet !== true) note(`note: ${warning}`);
  const start = await measureStart(config, data, flags);
  const { result, input } = await watch(flags, config, (listeners) =>
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
  reportRun(result, { flags, start, converts: warning === undefined, input });
}

/** Prints the configuration, and for --dry-run what opening its data and model finds: as comments, so that all is YAML. */
async function printChecked(config: TrainingConfig, flags: TrainFlags): Promise<void> {
  const check = flags.dryRun === true ? await measured(config, flags) : undefined;
  if (flags.json === true) {
    printJson({ schemaVersion: 1, config, ...(check === undefined ? {} : { check }) });
    return;
  }
  printText(configToYaml(config));
  if (check !== undefined) print(...checkLines(check, commentColumns()).map((line) => `# ${line}`));
}

/** Checks a training, which takes some steps of it, with a clock. */
async function measured(config: TrainingConfig, flags: TrainFlags): Promise<TrainingCheck> {
  const waiting = new WaitingLine({ silent: flags.json === true || flags.quiet === true });
  waiting.begin("opening the data and the model, and timing a few steps");
  return checkTraining(config).finally(() => waiting.end());
}

/** Columns that a line after `# ` may take. */
function commentColumns(): number | undefined {
  const columns = outputColumns();
  return columns === undefined ? undefined : columns - 2;
}

/** One line before the training of a network that does not convert to integers. */
async function conversionWarning(config: TrainingConfig, data: DatasetSplits): Promise<string | undefined> {
  const network = withDefaultResidualBits(await uncalibratedNetwork(config, data));
  return integerWarning(integerObstacles(network, { input: inputOf(data.train) }));
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

/** What is said of the time before the first step. */
const phaseTexts: Readonly<Record<RunPhase, string>> = {
  prepare: "reading the weights and calibrating",
  compile: "compiling the training step",
};

/** Runs a training with its progress on stderr and Ctrl-C in hand. */
async function watch(
  flags: TrainFlags,
  config: TrainingConfig,
  job: (listeners: RunListeners) => Promise<RunResult>,
): Promise<{ readonly result: RunResult; readonly input: DiagnosisInput | undefined }> {
  const silent = flags.json === true || flags.quiet === true;
  const waiting = new WaitingLine({ silent });
  let progress: Progress | undefined;
  let watched: RunWatch | undefined;
  const name = config.quantization === null ? "float" : config.quantization.preset;
  try {
    const result = await interruptible((signal) =>
      job({
        signal,
        onPhase: (phase) => waiting.begin(phaseTexts[phase]),
        onStart: ({ paths, step, totalSteps, sampleShape, device, notes }) => {
          waiting.end();
          progress = new Progress({ stages: [{ name, totalSteps }], samples: sampleWord(sampleShape), silent });
          progress.message(...notes.map((text) => `note: ${text}`));
          const place = config.device === "cpu" ? "" : `, on ${device}`;
          progress.message(
            `${step > 0 ? `resuming at step ${step} of ${totalSteps}` : `${totalSteps} steps`}${place}, seed ${config.seed}, run in ${paths.folder}`,
          );
        },
        onStep: (step) => {
          waiting.end();
          if (progress !== undefined) showRun(progress, 0, config.train.epochs).onStep(step);
        },
        onEpoch: (epoch) => {
          if (progress === undefined) return;
          showRun(progress, 0, config.train.epochs).onEpoch(epoch);
          if (flags.diagnose === true && watched !== undefined) {
            progress.message(
              ...findingsText(watched.findings(), { verbose: flags.verbose === true, records: watched.records }),
            );
          }
        },
        ...(flags.diagnose === false
          ? {}
          : {
              watch: (run) => {
                watched = watchAndKeep(run, {
                  settings: config,
                  ...defined({ from: sourceOfWeights(config) }),
                  stopOnFault: flags.stopOnFault === true,
                  onEarly: (findings) => {
                    waiting.end();
                    if (flags.json === true) note(...earlyLines(findings));
                    else progress?.message(...earlyLines(findings));
                  },
                });
                return watched.watcher;
              },
            }),
      }),
    );
    return { result, input: watched?.input() };
  } finally {
    waiting.end();
    progress?.close();
  }
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
