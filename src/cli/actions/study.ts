/** What `subbyte study` does. */
import { join } from "node:path";
import { type ConfigOverride, parseScalar, parseSetOption } from "../../config/config.ts";
import { parseDataArgument } from "../../config/data-folder.ts";
import { readConfigFile } from "../../config/file.ts";
import { ConfigError, exitCodes, SubbyteError } from "../../errors.ts";
import { gridPlaces, trialId } from "../../study/plan/cells.ts";
import { resolveStudyConfig, studyToYaml } from "../../study/plan/config.ts";
import { makePlan } from "../../study/plan/plan.ts";
import { bitsName, percent } from "../../study/result/summary.ts";
import { type FinishedStudy, runStudy } from "../../study/run-study.ts";
import { interruptible } from "../interrupt.ts";
import { pluginOverrides } from "../plugins.ts";
import { StudyProgress } from "../view/study-progress.ts";
import { stepText, studyText } from "../view/study-text.ts";
import { type Cell, formatTable } from "../view/table.ts";

/** The flags of `subbyte study`. Values stay texts where the study's schema checks them. */
export interface StudyFlags {
  readonly set?: readonly string[];
  readonly model?: string;
  readonly data?: string;
  readonly trainLimit?: string;
  readonly testLimit?: string;
  readonly weightBits?: string;
  readonly activationBits?: string;
  readonly recipes?: string;
  readonly seeds?: string;
  readonly epochs?: string;
  readonly lr?: string;
  readonly floatEpochs?: string;
  readonly batch?: string;
  readonly from?: string;
  readonly earlyStopping?: "none" | "median" | "asha";
  readonly maxBytes?: string;
  readonly maxBitOperations?: string;
  readonly parallel?: number;
  readonly device?: string;
  readonly threads?: string;
  readonly out: string;
  readonly resume?: string | true;
  readonly report: boolean;
  readonly cure?: true;
  readonly diagnose: boolean;
  readonly json?: true;
  readonly quiet?: true;
  readonly dryRun?: true;
}

/** Flags that are one value: how they are written, and their key. */
const valueFlags = [
  ["model", "--model", "model.name"],
  ["trainLimit", "--train-limit", "data.trainLimit"],
  ["testLimit", "--test-limit", "data.testLimit"],
  ["epochs", "--epochs", "train.epochs"],
  ["batch", "--batch", "train.batchSize"],
  ["lr", "--lr", "train.optimizer.learningRate"],
  ["floatEpochs", "--float-epochs", "float.epochs"],
  ["earlyStopping", "--early-stopping", "earlyStopping.rule"],
  ["maxBytes", "--max-bytes", "budget.bytes"],
  ["maxBitOperations", "--max-bit-operations", "budget.bitOperations"],
  ["device", "--device", "device"],
  ["threads", "--threads", "threads"],
] as const;

/** Flags that are lists, written with commas. */
const listFlags = [
  ["weightBits", "--weight-bits", "weightBits"],
  ["activationBits", "--activation-bits", "activationBits"],
  ["recipes", "--recipes", "recipes"],
] as const;

/** Runs a study, or goes on with one, and prints its map. */
export async function study(file: string | undefined, flags: StudyFlags): Promise<void> {
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
  const config = isResumed ? undefined : resolveStudyConfig(source, overrides);
  if (flags.dryRun === true && config !== undefined) {
    if (flags.json === true) printJson({ schemaVersion: 1, config, trials: gridPlaces(config).map(trialId) });
    else await printPlan(config);
    return;
  }
  const progress = new StudyProgress({ silent: flags.json === true || flags.quiet === true });
  const options = {
    folder,
    ...(config === undefined ? {} : { config }),
    ...(source === undefined ? {} : { source }),
    ...(flags.parallel === undefined ? {} : { parallel: flags.parallel }),
    ...(flags.cure === true ? { cure: true } : {}),
  };
  try {
    const finished = await interruptible((signal) =>
      runStudy(options, {
        signal,
        onStart: (start) => progress.start(start),
        onChange: (trial, event) => progress.change(trial, event),
        onMore: (stages, expected) => progress.more(stages, expected),
        onAblation: (patient, problem) =>
          progress.message(
            problem === undefined
              ? `${patient.recipe} ${bitsName(patient)} has ${percent(patient.accuracy ?? 0)}: once more with parts of its quantizers switched off`
              : `  that failed: ${problem}`,
          ),
        onPatient: (patient, remedies) =>
          progress.message(
            `${patient.recipe} ${bitsName(patient)} fell to ${percent(patient.accuracy ?? 0)}: ${remedies} remedies to try at most`,
          ),
        onStep: (step) => progress.message(`  ${stepText(step)}`),
      }),
    );
    progress.close();
    const report = flags.report ? await writeReport(folder) : {};
    print(finished, flags, report.page);
    for (const problem of [finished.unwritten, report.problem]) {
      if (typeof problem !== "string") continue;
      process.stderr.write(`error: ${problem}\n`);
      process.exitCode = exitCodes.failure;
    }
  } finally {
    progress.close();
  }
}

/** The report is loaded late: its charts take a while to load. One that cannot be written does not hide the result. */
async function writeReport(folder: string): Promise<{ readonly page?: string; readonly problem?: string }> {
  const { writeReport: write } = await import("../../report/write-report.ts");
  try {
    return { page: (await write(folder)).page };
  } catch (error) {
    if (error instanceof SubbyteError) return { problem: error.describe() };
    throw error;
  }
}

/** The overrides that the flags ask for, `--set` first, so that a flag of its own wins over it. */
export function studyOverrides(flags: StudyFlags): ConfigOverride[] {
  const overrides = [...(flags.set ?? []).map(parseSetOption), ...pluginOverrides()];
  if (flags.data !== undefined) {
    const origin = `--data ${flags.data}`;
    for (const [key, value] of Object.entries(parseDataArgument(flags.data))) {
      overrides.push({ path: `data.${key}`, value, origin });
    }
  }
  for (const [flag, written, path] of valueFlags) {
    const text = flags[flag];
    if (text !== undefined) overrides.push({ path, value: parseScalar(text), origin: `${written} ${text}` });
  }
  for (const [flag, written, path] of listFlags) {
    const text = flags[flag];
    const items = text?.split(",").map((item) => parseScalar(item.trim()));
    if (items !== undefined) overrides.push({ path, value: items, origin: `${written} ${text}` });
  }
  if (flags.from !== undefined) {
    overrides.push({ path: "float", value: { from: flags.from }, origin: `--from ${flags.from}` });
  }
  // A study that is gone on with is told to cure in another way: it keeps its configuration otherwise.
  if (flags.cure === true && flags.resume === undefined) {
    overrides.push({ path: "cure", value: true, origin: "--cure" });
  }
  if (!flags.diagnose) overrides.push({ path: "diagnose", value: false, origin: "--no-diagnose" });
  if (flags.seeds !== undefined) overrides.push(seedsOverride(flags.seeds));
  return overrides;
}

function seedsOverride(text: string): ConfigOverride {
  const origin = `--seeds ${text}`;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1000) {
    const remedy = "For seeds of your own: --set 'seeds=[3, 14]'.";
    throw new ConfigError("expected a number of seeds from 1 to 1000", { where: origin, remedy });
  }
  return { path: "seeds", value: Array.from({ length: count }, (_, seed) => seed), origin };
}

function printJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
}

async function printPlan(config: Parameters<typeof makePlan>[0]): Promise<void> {
  const plan = await makePlan(config);
  process.stdout.write(studyToYaml(config));
  const rows = plan.trials.map((trial): Cell[] => [
    trial.id,
    trial.levels.weights,
    trial.levels.activations,
    trial.cost === null ? null : (trial.cost.bitOperations / 1e6).toFixed(1),
    trial.cost?.bytes ?? null,
    trial.impossible ?? "",
  ]);
  const columns = ["trial", "weight levels", "activation levels", "million bit operations", "bytes", "problem"];
  process.stdout.write(`${formatTable(columns, rows, process.stdout.columns)}\n`);
}

function print(finished: FinishedStudy, flags: StudyFlags, page: string | undefined): void {
  const { result, paths } = finished;
  const { failed, impossible } = result.counts;
  if (flags.json === true) {
    printJson({ ...result, folder: paths.folder, report: page ?? null });
  } else {
    for (const line of studyText(finished, process.stdout.columns)) process.stdout.write(`${line}\n`);
    for (const { id, status, reason } of result.trials) {
      if (status === "failed" || status === "impossible") process.stdout.write(`${id} ${status}: ${reason}\n`);
    }
    const best = bestRun(finished);
    if (best !== undefined) process.stdout.write(`best model: ${best} (subbyte convert ${best})\n`);
    if (page !== undefined) process.stdout.write(`report: ${page}\n`);
  }
  if (failed + impossible > 0) process.exitCode = exitCodes.failure;
}

/** The run of the configuration that the answer names; of several seeds the most accurate. */
function bestRun({ result, records, paths }: FinishedStudy): string | undefined {
  const chosen = result.cheapest ?? result.best;
  if (chosen === null) return undefined;
  const [best] = records
    .filter(
      ({ recipe, accuracy, ...record }) =>
        recipe === chosen.recipe && bitsName(record) === bitsName(chosen) && accuracy !== null,
    )
    .sort((a, b) => (b.accuracy ?? 0) - (a.accuracy ?? 0));
  return best === undefined ? undefined : join(paths.trials, best.id);
}
