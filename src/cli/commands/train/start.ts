/** What a training starts from: the accuracy of a model's file before it is trained, and the comparison at the end. */

import type { TrainingConfig } from "../../../config/schema/schema.ts";
import type { DatasetSplits } from "../../../data/dataset/dataset.ts";
import { type StartAccuracy, startAccuracy } from "../../../train/float-accuracy.ts";
import { isShare, metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import { engineOf, type RunSummary } from "../../../train/run.ts";
import { note } from "../../output.ts";
import { sampleWord } from "../../view/progress-format.ts";
import { shownPath } from "../../view/shown-path.ts";
import { WaitingLine } from "../../view/waiting-line.ts";
import type { TrainFlags } from "./train.ts";

/** Measures and prints what a model's file reaches on the test part; nothing for the networks that come with subbyte. */
export async function measureStart(
  config: TrainingConfig,
  data: DatasetSplits,
  flags: Pick<TrainFlags, "json" | "quiet">,
): Promise<StartAccuracy | undefined> {
  if ("name" in config.model) return undefined;
  const silent = flags.json === true || flags.quiet === true;
  const waiting = new WaitingLine({ silent });
  waiting.begin("measuring what the weights reach before the training");
  const { engine, target } = await engineOf(config);
  const start = await startAccuracy(config, data, engine, target).finally(() => waiting.end());
  if (start === undefined || silent) return start;
  const { metric, accuracy, count } = start.result;
  const what = sampleWord(data.test.sampleShape);
  note(
    `${shownPath(start.name)}: ${metricTitle(metric)} ${showMetric(metric, accuracy)} on the ${count} test ${what}, before the training`,
    ...start.notes.map((text) => `note: ${text}`),
  );
  return start;
}

/** `float mine.onnx 84.17 % → 88.33 % (+4.17 points)`. */
export function changeText({ name, isFloat, result }: StartAccuracy, { metric, accuracy }: RunSummary): string {
  const difference = accuracy - result.accuracy;
  const sign = difference < 0 ? "" : "+";
  const change = isShare(metric) ? `${sign}${(100 * difference).toFixed(2)} points` : `${sign}${difference.toFixed(4)}`;
  return `${isFloat ? "float " : ""}${shownPath(name)} ${showMetric(metric, result.accuracy)} → ${showMetric(metric, accuracy)} (${change})`;
}

/** The start as a part of the JSON document. */
export function startDocument({ name, result, notes }: StartAccuracy) {
  return { name, notes, accuracy: result.accuracy, loss: result.loss };
}
