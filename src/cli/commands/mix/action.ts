/** What `subbyte mix` does. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { configToYaml } from "../../../config/config.ts";
import { bitRange } from "../../../config/schema/schema.ts";
import { type ConfigOverride, parseScalar } from "../../../config/source.ts";
import { ConfigError, exitCodes } from "../../../errors.ts";
import { type Mix, type MixOptions, mixBits, uniformName } from "../../../study/mixed/mixed.ts";
import { mixStudy, trainedMix } from "../../../study/mixed/trial.ts";
import { runStudy } from "../../../study/run-study.ts";
import { setOverrides } from "../../flag-overrides.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson } from "../../output.ts";
import { StudyProgress } from "../../view/study-progress.ts";
import { writeOutputs } from "../../write-output.ts";
import type { MixFlags } from "./mix.ts";
import { MixStatus } from "./progress.ts";
import { mixSource } from "./source.ts";
import { layerTable, outcomeTable, trainedTable } from "./text.ts";

/** Chooses the bits of a run's layers, writes the configuration, and trains it on request. */
export async function mixAction(folder: string, flags: MixFlags): Promise<void> {
  const options = mixOptions(flags);
  const silent = flags.json === true || flags.quiet === true;
  const status = new MixStatus({ silent, verbose: flags.verbose === true });
  status.message(`loading ${folder} and its data`);
  // Nothing is to be saved yet: a signal ends the process at once, also in the middle of a long computation.
  const source = await mixSource(folder, flags);
  const found = await interruptible(
    (signal) => mixBits(source, { ...options, signal, onProgress: (progress) => status.show(progress) }),
    () => note("", "stopping"),
  ).finally(() => status.close());
  const file = flags.out ?? ((await stat(folder)).isDirectory() ? join(folder, "mix.yaml") : "mix.yaml");
  await writeOutputs([{ file, content: configToYaml(found.config) }]);
  const columns = outputColumns();
  if (flags.json !== true) {
    print(...layerTable(found, columns), ...outcomeTable(found, columns));
    print(`configuration: ${file} (subbyte train --config ${file})`);
  }
  const trained = flags.train === undefined ? null : await trainBoth(found, flags);
  if (flags.json === true) {
    const { config: _config, uniformConfig: _uniform, ...numbers } = found;
    printJson({ schemaVersion: 1, run: folder, configuration: file, ...numbers, trained });
  } else if (trained !== null) {
    const baseline = found.baseline === null ? "" : uniformName(found.baseline);
    print(...trainedTable(found, trained, baseline, columns));
  }
}

async function trainBoth(found: Mix, flags: MixFlags) {
  const progress = new StudyProgress({ silent: flags.json === true || flags.quiet === true });
  const folder = typeof flags.train === "string" ? flags.train : join("studies", "mix");
  try {
    const { result } = await interruptible((signal) =>
      runStudy(
        { folder, config: mixStudy(found, flags.seeds) },
        {
          signal,
          onStart: (start) => progress.start(start),
          onChange: (trial, event) => progress.change(trial, event),
        },
      ),
    );
    if (result.counts.failed + result.counts.impossible > 0) process.exitCode = exitCodes.failure;
    return { study: folder, ...trainedMix(result.maps) };
  } finally {
    progress.close();
  }
}

/** Returns the options of the flags. @throws ConfigError naming the invalid flag. */
export function mixOptions(flags: MixFlags): MixOptions {
  const weightBits = bitsList("--weight-bits", flags.weightBits);
  const activationBits = bitsList("--activation-bits", flags.activationBits);
  const overrides: ConfigOverride[] = setOverrides(flags.set);
  for (const [flag, path, text] of [
    ["--epochs", "train.epochs", flags.epochs],
    ["--lr", "train.optimizer.learningRate", flags.lr],
  ] as const) {
    if (text !== undefined) overrides.push({ path, value: parseScalar(text), origin: `${flag} ${text}` });
  }
  return {
    budget: budgetOf(flags),
    candidates: defined({ weightBits, activationBits }),
    ...defined({ preset: flags.preset }),
    keep: flags.keep ?? [],
    firstAndLast: flags.firstAndLast === true,
    samples: flags.samples,
    overrides,
  };
}

function budgetOf({ budget, maxBytes, maxBitOperations, maxAverageBits }: MixFlags): MixOptions["budget"] {
  const limits = {
    ...limit("bytes", "--max-bytes", maxBytes),
    ...limit("bitOperations", "--max-bit-operations", maxBitOperations),
    ...limit("averageWeightBits", "--max-average-bits", maxAverageBits),
  };
  const count = Object.keys(limits).length;
  if (budget === undefined && count > 0) return limits;
  if (budget === undefined || count > 0) {
    throw new ConfigError(budget === undefined ? "there is no budget" : "there are two budgets", {
      where: budget === undefined ? "subbyte mix" : `--budget ${budget}`,
      remedy: "Give --budget W3A3, or limits: --max-bytes, --max-bit-operations, --max-average-bits.",
    });
  }
  const bits = /^W(\d+)A(\d+)$/i.exec(budget);
  const [weightBits, activationBits] = [Number(bits?.[1]), Number(bits?.[2])];
  if (isBits(weightBits) && isBits(activationBits)) return { weightBits, activationBits };
  throw new ConfigError("expected the bits of weights and of activations, such as W3A3", {
    where: `--budget ${budget}`,
  });
}

function isBits(value: number): boolean {
  return Number.isInteger(value) && value >= bitRange.minimum && value <= bitRange.maximum;
}

function limit(key: string, flag: string, text: string | undefined): Record<string, number> {
  if (text === undefined) return {};
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return { [key]: value };
  throw new ConfigError("expected a number above 0", { where: `${flag} ${text}` });
}

function bitsList(flag: string, text: string | undefined): number[] | undefined {
  const list = text?.split(",").map((item) => Number(item.trim() === "" ? Number.NaN : item));
  if (list === undefined || list.every(isBits)) return list;
  throw new ConfigError(`expected whole numbers from ${bitRange.minimum} to ${bitRange.maximum}, such as 2,4,8`, {
    where: `${flag} ${text}`,
  });
}
