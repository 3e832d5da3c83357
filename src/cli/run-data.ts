/** The images that a command measures a run's network on: the run's own test images, or others that are given. */

import { defined } from "../base/defined.ts";
import { parseDataArgument } from "../config/data-folder.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { type Dataset, firstSamples } from "../data/dataset/dataset.ts";
import { ConfigError } from "../errors.ts";
import { sameShape } from "../ir/types.ts";
import { checkFit } from "../train/fit/network-fit.ts";
import type { LoadedRun } from "../train/load-run.ts";
import { openDataFor } from "../train/model-data.ts";

/** The values of the flags `--data` and `--limit`. */
export async function testData(
  run: LoadedRun,
  flags: { readonly data?: string; readonly limit?: number },
): Promise<Dataset> {
  const all = flags.data === undefined ? run.data.test : await otherData(flags.data, run);
  return flags.limit === undefined ? all : firstSamples(all, Math.min(flags.limit, all.count));
}

/**
 * Other data as the network of the run has to see it: of the same size, classes and normalization.
 *
 * @throws ConfigError when its samples or labels do not fit the network.
 */
async function otherData(argument: string, run: LoadedRun): Promise<Dataset> {
  const { sampleShape, target, normalization } = run.data.test;
  const [channels, height, width] = sampleShape;
  const { resize, layout, task, target: column, ignore, memoryBytes } = run.config.data;
  const data: TrainingConfig["data"] = {
    ...defined({ resize, layout, task, target: column, ignore, memoryBytes }),
    crop: 0,
    flip: false,
    ...(height === undefined || width === undefined ? {} : { size: [height, width] }),
    ...(channels === 1 || channels === 3 ? { channels } : {}),
    ...(target.kind === "classes" ? { classes: [...target.classes] } : {}),
    // Of samples of another shape the run's would be refused, and not the shape.
    normalization: "none",
    validationSplit: 0,
    ...parseDataArgument(argument),
  };
  const { test } = await openDataFor({ ...run.config, data });
  if (!sameShape(test.sampleShape, sampleShape)) {
    throw new ConfigError(`the network takes samples of [${sampleShape}], the data gives [${test.sampleShape}]`, {
      where: argument,
      remedy: "Give data of the same shape as the run's own.",
    });
  }
  checkFit(run.network, { where: run.folder, target: test.target });
  return { ...test, normalization: { ...test.normalization, mean: normalization.mean, std: normalization.std } };
}
