/** `subbyte eval FILE.onnx`: what a model's file reaches on data, as it is. */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { isQuantized } from "../../../compile/sites.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { type Dataset, firstSamples } from "../../../data/dataset/dataset.ts";
import { ConfigError } from "../../../errors.ts";
import type { Network } from "../../../ir/network.ts";
import { checkPositionsCount } from "../../../train/fit/counted-positions.ts";
import { checkFit } from "../../../train/fit/network-fit.ts";
import { checkTokens } from "../../../train/fit/token-range.ts";
import { normalizationChoices } from "../../../train/model-data.ts";
import { importedNetwork } from "../../../train/network.ts";
import { loadData } from "../../../train/setup.ts";
import { configurationOverrides } from "../../train-overrides.ts";
import type { EvalFlags } from "./eval.ts";

/** A model's file with the data to measure it on. */
export interface EvaluatedFile {
  readonly name: string;
  readonly network: Network;
  readonly data: Dataset;
  /** What the user may have to change, one sentence each. */
  readonly notes: readonly string[];
}

/** Whether the argument of `eval` is a model's file, and no run. */
export function isModelFile(path: string): boolean {
  return /\.onnx$/i.test(path);
}

/**
 * Opens a model's file and the data, whose classes are mapped to its outputs as `train` maps them. Where the data has one part
 * only, all of its samples are measured.
 *
 * @throws ConfigError without data or for flags that a file cannot have, and as a training of the file does.
 */
export async function openEvaluatedFile(path: string, flags: EvalFlags): Promise<EvaluatedFile> {
  if (flags.data === undefined) {
    throw new ConfigError("a model's file has no data of its own", {
      where: path,
      remedy: `Name the data to measure it on: subbyte eval ${path} --data FOLDER.`,
    });
  }
  if (flags.integer === true) {
    throw new ConfigError("a float file has no integers", {
      where: `${path} --integer`,
      remedy: "Quantize it with subbyte train first, then evaluate the run.",
    });
  }
  const { data, set = [] } = flags;
  const overrides = configurationOverrides({ model: existsSync(path) ? path : `./${path}`, data, set });
  const whole = { path: "data.validationSplit", value: 0, origin: "eval" };
  const config = resolveTrainingConfig(undefined, [whole, ...overrides]);
  const opened = await loadData(config);
  const network = importedNetwork(path, opened);
  const odd = checkFit(network, { where: path, target: opened.test.target });
  await checkTokens(network, opened.test);
  await checkPositionsCount(network, opened.test);
  const test =
    flags.limit === undefined ? opened.test : firstSamples(opened.test, Math.min(flags.limit, opened.test.count));
  const normalization =
    config.data.normalization === undefined && opened.train.normalization.mean.length > 0
      ? [
          `if the model was trained with another normalization: --set data.normalization=${normalizationChoices(opened.train.sampleShape)}`,
        ]
      : [];
  const quantizers = isQuantized(network) ? [`${network.sites.length} quantizers of the file are simulated`] : [];
  // Notes on the labels and the samples explain a number that is too low; what they say of normalization is said below.
  const ofData = opened.notes.filter((text) => !text.includes("data.normalization"));
  return { name: basename(path), network, data: test, notes: [...ofData, ...odd, ...quantizers, ...normalization] };
}

/** `mean 0.286, std 0.353`, one number for each channel where they differ. */
export function normalizationText({ normalization: { mean, std } }: Dataset): string {
  const show = (values: readonly number[]) => {
    const texts = values.map((value) => Number(value.toPrecision(4)).toString());
    return new Set(texts).size === 1 ? (texts[0] ?? "") : texts.slice(0, 4).join(", ");
  };
  const isNone = mean.every((value) => value === 0) && std.every((value) => value === 1);
  return isNone ? "none" : `mean ${show(mean)}, std ${show(std)}`;
}
