/** The images that a command measures a run's network on: the run's own test images, or others that are given. */

import { defined } from "../base/defined.ts";
import { parseDataArgument } from "../config/data-folder.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { type Dataset, describeTarget, firstSamples } from "../data/dataset/dataset.ts";
import { rangeNotes } from "../data/dataset/remarks.ts";
import { shortList } from "../data/images/list-folder.ts";
import { ConfigError } from "../errors.ts";
import { sameShape } from "../ir/types.ts";
import { checkPositionsCount } from "../train/fit/counted-positions.ts";
import { checkFit } from "../train/fit/network-fit.ts";
import { checkTokens } from "../train/fit/token-range.ts";
import type { LoadedRun } from "../train/load-run.ts";
import { openDataFor } from "../train/model-data.ts";

/** The samples that a run is measured on, and what may be wrong with them, one sentence each. */
export interface TestData {
  readonly data: Dataset;
  readonly notes: readonly string[];
}

/**
 * Returns the data of the flags `--data` and `--limit`, else the run's own.
 *
 * @throws ConfigError when the samples, the labels or the columns do not fit the network.
 */
export async function testData(
  run: LoadedRun,
  flags: { readonly data?: string; readonly limit?: number },
): Promise<TestData> {
  const { data, notes } =
    flags.data === undefined ? { data: run.data.test, notes: [] } : await otherData(flags.data, run);
  const limited = flags.limit === undefined ? data : firstSamples(data, Math.min(flags.limit, data.count));
  return { data: limited, notes: [...run.notes, ...notes] };
}

/**
 * Other data as the network of the run has to see it: of the same size, classes and normalization.
 *
 * @throws ConfigError when its samples, labels or columns do not fit the network.
 */
async function otherData(argument: string, run: LoadedRun): Promise<TestData> {
  const { sampleShape, target, normalization } = run.data.test;
  const [channels, height, width] = sampleShape;
  const { resize, layout, task, target: column, ignore, memoryBytes } = run.config.data;
  const { ignoreIndex, strides, audio, maskToken, maskShare, vocabulary, specialTokens, tokenizer, length } =
    run.config.data;
  const data: TrainingConfig["data"] = {
    ...defined({ resize, layout, task, target: column, ignore, memoryBytes }),
    ...defined({ ignoreIndex, strides, audio, maskToken, maskShare, vocabulary, specialTokens, tokenizer, length }),
    crop: 0,
    flip: false,
    ...(height === undefined || width === undefined ? {} : { size: [height, width] }),
    ...(channels === 1 || channels === 3 ? { channels } : {}),
    ...("classes" in target && target.classes.length > 0 ? { classes: [...target.classes] } : {}),
    // Of samples of another shape the run's would be refused, and not the shape.
    normalization: "none",
    validationSplit: 0,
    ...parseDataArgument(argument),
  };
  const opened = await openDataFor({ ...run.config, data });
  const { test } = opened;
  if (!sameShape(test.sampleShape, sampleShape)) {
    throw new ConfigError(`the network takes samples of [${sampleShape}], the data gives [${test.sampleShape}]`, {
      where: argument,
      remedy: "Give data of the same shape as the run's own.",
    });
  }
  if (test.target.kind !== target.kind && test.target.kind !== "none") {
    throw new ConfigError(
      `the run was trained on ${describeTarget(target)}, this data has ${describeTarget(test.target)}: their scores cannot be compared`,
      { where: argument, remedy: "Give labels of the same kind: class numbers are whole numbers, not one-hot rows." },
    );
  }
  const columns = notesOnColumns(run.data.test.columns, test.columns, argument);
  checkFit(run.network, { where: run.folder, target: test.target });
  await checkTokens(run.network, test);
  await checkPositionsCount(run.network, test);
  const measured = { ...test.normalization, mean: normalization.mean, std: normalization.std };
  // The sizes and the classes are those of the run: notes that explain how they were chosen for this data would be wrong.
  const notes = [...columns, ...(await rangeNotes(test, measured))];
  return { data: { ...test, normalization: measured }, notes };
}

/** @throws ConfigError for the same columns in another order, which would enter the network in each other's place. */
function notesOnColumns(wanted: readonly string[] = [], given: readonly string[] = [], where: string): string[] {
  const differs = given.length > 0 && wanted.some((name, index) => name !== given[index]);
  if (!differs) return [];
  const names = `the columns are ${shortList(given)}, those of the run ${shortList(wanted)}`;
  if (wanted.every((name) => given.includes(name))) {
    throw new ConfigError(`${names}: they would be taken for each other`, {
      where,
      remedy: "Write the columns in the order of the table that the run was trained on.",
    });
  }
  return [`${names}: they are taken in their order`];
}
