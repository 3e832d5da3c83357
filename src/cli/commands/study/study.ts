/** `subbyte study`: a grid of weight bits and activation bits, the causes of failures, the fixes. */

import { Option } from "@commander-js/extra-typings";
import { defined } from "../../../base/defined.ts";
import { readConfigFile } from "../../../config/file.ts";
import { ConfigError, exitCodes, SubbyteError } from "../../../errors.ts";
import { modelNames } from "../../../models/index.ts";
import { gridCells, trialId } from "../../../study/plan/cells.ts";
import { resolveStudyConfig, studyToYaml } from "../../../study/plan/config.ts";
import { trialFolder } from "../../../study/plan/folder.ts";
import { makePlan } from "../../../study/plan/plan.ts";
import { bitsName, percent } from "../../../study/result/summary.ts";
import { type FinishedStudy, runStudy } from "../../../study/run-study.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber } from "../../flag-values.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson, printText } from "../../output.ts";
import { oneLine } from "../../view/printable.ts";
import { StudyProgress } from "../../view/study-progress.ts";
import { type Cell, tableLines } from "../../view/table.ts";
import { studyOverrides } from "./overrides.ts";
import { stepText, studyText } from "./text.ts";

const examples = `
Trains a float network, then one network for each pair of weight bits and activation bits, recipe and seed, each in its
own process, and computes what each bit is worth. Without a configuration it asks the question of the forum thread, on
the part of Fashion-MNIST that comes with subbyte. It can be stopped at any time: the same command, or --resume, resumes.

Examples:
  subbyte study
  subbyte study study.yaml --out studies/mine
  subbyte study --weight-bits 8,4,2 --activation-bits 8,6,5,4,3 --recipes thread,lsq --seeds 3
  subbyte study --resume studies/mine             resume a stopped study
  subbyte study --recipes thread --fix            why few bits fail, which fixes help, and the map with the fixes
  subbyte study --max-bytes 20000                 the best model of at most N bytes
  subbyte study --set train.schedule.warmupEpochs=1 --set 'earlyStopping={rule: median}'

Exit codes: 1 when a trial failed or a cell is impossible (all others are done), 130 when it was stopped.`;

const declare = (command: NewCommand) =>
  command
    .description("Train a grid of weight bits and activation bits, and measure what each bit is worth.")
    .argument("[config]", "YAML or JSON file with the study's configuration")
    .option("--set <key=value>", "set one key of it, e.g. train.epochs=3 (repeatable)", collect)
    .option("-m, --model <name>", `network: ${modelNames.join(", ")}`)
    .option("--data <name|folder>", "fashion-mnist-part, fashion-mnist, or a folder such as ./mine")
    .option("--train-limit <n>", "use only N training images")
    .option("--test-limit <n>", "use only N test images")
    .option("--weight-bits <list>", "bits of the weights, e.g. 8,4,2")
    .option("--activation-bits <list>", "bits of the activations, e.g. 8,6,5,4,3")
    .option("--recipes <list>", "quantization recipes, e.g. thread,lsq")
    .option("--seeds <n>", "seeds for each cell, 0 to n-1")
    .option("--epochs <n>", "epochs of each trial")
    .option("--lr <x>", "learning rate of each trial")
    .option("--float-epochs <n>", "epochs of the float network")
    .option("--batch <n>", "images in a batch")
    .option("--from <checkpoint>", "start from this float network instead of training one")
    .addOption(
      new Option("--early-stopping <rule>", "stop trials early that fall behind").choices([
        "none",
        "median",
        "asha",
      ] as const),
    )
    .option("--max-bytes <n>", "budget: size of the integer model")
    .option("--max-bit-operations <n>", "budget: bit operations for one image")
    .option("--parallel <n>", "trials that run at the same time (default: one per core)", wholeNumber(1))
    .option("--device <name>", "device of the trials: cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of each trial (default: the cores divided among the trials)")
    .option("-o, --out <folder>", "folder of the study", "studies/study")
    .option("--resume [folder]", "resume the study in this folder (default: that of --out)")
    .option("--fix", "search for fixes where trials fail, and train the grid again with those that help")
    .option("--no-diagnose", "do not measure the tensors while training: no findings")
    .option("--no-report", "write no HTML report at the end")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print every finding of a failing trial, not only those of the highest confidence")
    .option("--dry-run", "check and print the trials, then stop")
    .addHelpText("after", examples);

type Flags = FlagsOf<typeof declare>;

/** Declares `subbyte study`. */
export const declareStudy = (command: NewCommand) => declare(command).action(study);

/** Runs or resumes a study and prints its maps. */
async function study(file: string | undefined, flags: Flags): Promise<void> {
  const overrides = studyOverrides(flags);
  const isResumed = flags.resume !== undefined;
  if (isResumed && (file !== undefined || overrides.length > 0)) {
    throw new ConfigError("a resumed study keeps its own configuration", {
      where: overrides[0]?.origin ?? file ?? "--resume",
      remedy: "Leave the other flags out, or start a new study with --out.",
    });
  }
  const folder = typeof flags.resume === "string" ? flags.resume : flags.out;
  const source = file === undefined ? undefined : await readConfigFile(file);
  const config = isResumed ? undefined : resolveStudyConfig(source, overrides, noteRenamedKey);
  if (flags.dryRun === true && config !== undefined) {
    if (flags.json === true) printJson({ schemaVersion: 1, config, trials: gridCells(config).map(trialId) });
    else await printPlan(config);
    return;
  }
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
        onChange: (trial, event) => progress.change(trial, event),
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
    printResult(finished, flags, report.page);
    for (const problem of [finished.unwritten, report.problem]) {
      if (typeof problem !== "string") continue;
      note(...problem.split("\n").map((line, index) => (index === 0 ? `error: ${line}` : line)));
      process.exitCode = exitCodes.failure;
    }
  } finally {
    progress.close();
  }
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

async function printPlan(config: Parameters<typeof makePlan>[0]): Promise<void> {
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
  print(...tableLines(columns, rows, outputColumns()));
}

function printResult(finished: FinishedStudy, flags: Flags, page: string | undefined): void {
  const { result, paths } = finished;
  const { failed, impossible } = result.counts;
  if (flags.json === true) {
    printJson({ ...result, folder: paths.folder, report: page ?? null });
  } else {
    print(...studyText(finished, { columns: outputColumns(), verbose: flags.verbose === true }));
    for (const { id, status, reason } of result.trials) {
      if (status === "failed" || status === "impossible") print(`${id} ${status}: ${oneLine(reason ?? "")}`);
    }
    const best = bestRun(finished);
    if (best !== undefined) print(`best model: ${best} (subbyte convert ${best})`);
    if (page !== undefined) print(`report: ${page}`);
  }
  if (failed + impossible > 0) process.exitCode = exitCodes.failure;
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
