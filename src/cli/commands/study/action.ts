/** What `subbyte study` does. */

import { defined } from "../../../base/defined.ts";
import { readConfigFile } from "../../../config/file.ts";
import type { ConfigOverride, ConfigSource } from "../../../config/source.ts";
import { ConfigError, exitCodes, SubbyteError } from "../../../errors.ts";
import { gridCells, trialId } from "../../../study/plan/cells.ts";
import { resolveStudyConfig, studyToYaml } from "../../../study/plan/config.ts";
import { trialFolder } from "../../../study/plan/folder.ts";
import { makePlan } from "../../../study/plan/plan.ts";
import type { StudyConfig } from "../../../study/plan/schema.ts";
import { bitsName, percent } from "../../../study/result/summary.ts";
import { type FinishedStudy, runStudy } from "../../../study/run-study.ts";
import { groupAlike, type TrialEnd } from "../../../study/schedule/alike.ts";
import type { StartAccuracy } from "../../../train/float-accuracy.ts";
import { takenFromRun } from "../../../train/from-run.ts";
import { notesOnReplaced } from "../../flag-overrides.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson, printNotesOn, printText } from "../../output.ts";
import { oneLine } from "../../view/printable.ts";
import { findingLine, StudyProgress } from "../../view/study-progress.ts";
import { type Cell, tableLines } from "../../view/table.ts";
import { startDocument } from "../train/start.ts";
import { checkStudy, type StudyCheck, studyCheckLines } from "./check.ts";
import { studyOverrides } from "./overrides.ts";
import { printResumed } from "./resumed.ts";
import { fileComparison, measureFile } from "./start.ts";
import type { StudyFlags } from "./study.ts";
import { stepText, studyText } from "./text.ts";

/** Runs or resumes a study and prints its maps. */
export async function studyAction(file: string | undefined, flags: StudyFlags): Promise<void> {
  const overrides = studyOverrides(flags);
  const isResumed = flags.resume !== undefined;
  if (isResumed && (file !== undefined || overrides.length > 0)) {
    throw new ConfigError("a resumed study keeps its own configuration", {
      where: overrides[0]?.origin ?? file ?? "--resume",
      remedy: "Leave the other flags out, or start a new study with --out.",
    });
  }
  const folder = typeof flags.resume === "string" ? flags.resume : flags.out;
  if (isResumed && flags.dryRun === true) return printResumed(folder, flags.json === true);
  const source = file === undefined ? undefined : await readConfigFile(file);
  const config = isResumed ? undefined : await newConfig(source, overrides, flags);
  if (flags.dryRun === true && config !== undefined) {
    const check = await checkStudy(config);
    if (flags.json === true) printJson({ schemaVersion: 1, config, trials: gridCells(config).map(trialId), check });
    else await printPlan(config, check);
    return;
  }
  const start = config === undefined ? undefined : await measureFile(config, flags);
  const progress = new StudyProgress({ silent: flags.json === true || flags.quiet === true });
  const options = {
    folder,
    ...defined({ config, source, parallel: flags.parallel }),
    ...(flags.fix === true ? { fix: true } : {}),
  };
  try {
    const finished = await interruptible((signal) =>
      runStudy(options, {
        signal,
        onStart: (start) => progress.start(start),
        onChange: (trial, event) => {
          progress.change(trial, event);
          if (flags.json === true && event === "finding") note(findingLine(trial));
        },
        onMore: (stages, expected) => progress.more(stages, expected),
        onAblation: (failing, problem) =>
          progress.message(
            problem === undefined
              ? `Ablation of ${failing.recipe} ${bitsName(failing)} (${percent(failing.accuracy ?? 0)}): evaluating with some quantizers disabled`
              : `  the ablation failed: ${problem}`,
          ),
        onFailingTrial: (failing, remedies) =>
          progress.message(
            `${failing.recipe} ${bitsName(failing)} dropped to ${percent(failing.accuracy ?? 0)}: trying up to ${remedies} ${remedies === 1 ? "fix" : "fixes"}`,
          ),
        onStep: (step) => progress.message(`  ${stepText(step)}`),
      }),
    );
    progress.close();
    const report = flags.report ? await writeReport(folder) : {};
    printResult(finished, flags, { page: report.page, start });
    for (const problem of [finished.unwritten, report.problem]) {
      if (typeof problem !== "string") continue;
      note(...problem.split("\n").map((line, index) => (index === 0 ? `error: ${line}` : line)));
      process.exitCode = exitCodes.failure;
    }
  } finally {
    progress.close();
  }
}

/** Resolves the configuration of a new study, with the model and the data of the float network that it names. */
async function newConfig(
  source: ConfigSource | undefined,
  overrides: readonly ConfigOverride[],
  flags: StudyFlags,
): Promise<StudyConfig> {
  printNotesOn(notesOnReplaced(overrides), flags);
  const taken = await takenFromRun(source, overrides, ["float.from"]);
  if (taken.sentence !== null && flags.json !== true && flags.quiet !== true) note(taken.sentence);
  return resolveStudyConfig(source, [...taken.overrides, ...overrides], noteRenamedKey);
}

/** The report is loaded late: its charts take a while to load. One that cannot be written does not hide the result. */
async function writeReport(folder: string): Promise<{ readonly page?: string; readonly problem?: string }> {
  const { writeReport: write } = await import("../../../report/write-report.ts");
  try {
    return { page: (await write(folder)).page };
  } catch (error) {
    if (error instanceof SubbyteError) return { problem: error.describe() };
    throw error;
  }
}

function noteRenamedKey(old: string, present: string): void {
  note(`note: the key ${old} is now called ${present}`);
}

async function printPlan(config: StudyConfig, check: StudyCheck): Promise<void> {
  const plan = await makePlan(config);
  printText(studyToYaml(config));
  const rows = plan.trials.map((trial): Cell[] => [
    trial.id,
    trial.levels.weights,
    trial.levels.activations,
    trial.cost === null ? null : (trial.cost.bitOperations / 1e6).toFixed(1),
    trial.cost?.bytes ?? null,
    trial.impossible ?? "",
  ]);
  const columns = ["trial", "weight levels", "activation levels", "million bit operations", "bytes", "problem"];
  print(...tableLines(columns, rows, outputColumns()), ...studyCheckLines(check, outputColumns()));
}

/** The report's page, and what the model's file reached before the study. */
interface ResultExtras {
  readonly page: string | undefined;
  readonly start: StartAccuracy | undefined;
}

function printResult(finished: FinishedStudy, flags: StudyFlags, { page, start }: ResultExtras): void {
  const { result, paths } = finished;
  const { failed, impossible } = result.counts;
  if (flags.json === true) {
    printJson({
      ...result,
      folder: paths.folder,
      report: page ?? null,
      ...(start === undefined ? {} : { start: startDocument(start) }),
    });
  } else {
    print(...studyText(finished, { columns: outputColumns(), verbose: flags.verbose === true }));
    const without = result.trials.filter(({ status }) => status === "failed" || status === "impossible");
    print(...groupAlike(without).map(alikeLine));
    if (start !== undefined) print(fileComparison(start, finished));
    const best = bestRun(finished);
    if (best !== undefined) print(`best model: ${best} (subbyte convert ${best})`);
    if (page !== undefined) print(`report: ${page}`);
  }
  if (failed + impossible > 0) process.exitCode = exitCodes.failure;
}

/** Trials that ended in one way, with their reason once. */
function alikeLine(alike: readonly TrialEnd[]): string {
  const [first] = alike;
  const names = alike.slice(0, 3).map(({ id }) => id);
  const list =
    alike.length > names.length ? `${names.join(", ")} and ${alike.length - names.length} more` : names.join(", ");
  return `${list} ${first?.status}: ${oneLine(first?.reason ?? "")}`;
}

/** The run of the configuration that the summary names; of several seeds the most accurate. */
function bestRun({ result, records, paths }: FinishedStudy): string | undefined {
  const chosen = result.cheapest ?? result.best;
  if (chosen === null) return undefined;
  const [best] = records
    .filter(
      ({ recipe, accuracy, ...record }) =>
        recipe === chosen.recipe && bitsName(record) === bitsName(chosen) && accuracy !== null,
    )
    .sort((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0));
  return best === undefined ? undefined : trialFolder(paths, best);
}
