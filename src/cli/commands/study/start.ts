/** What the model's file of a study reaches by itself, before the study and next to its result. */

import { floatConfig } from "../../../study/plan/config.ts";
import { exampleConfig } from "../../../study/plan/plan.ts";
import type { StudyConfig } from "../../../study/plan/schema.ts";
import { bitsName } from "../../../study/result/summary.ts";
import type { FinishedStudy } from "../../../study/run-study.ts";
import type { StartAccuracy } from "../../../train/float-accuracy.ts";
import { showMetric } from "../../../train/loop/metric-text.ts";
import { loadData } from "../../../train/setup.ts";
import { measureStart } from "../train/start.ts";
import type { StudyFlags } from "./study.ts";

/** Measures and prints what the file reaches; undefined for other networks, and for a float run, whose accuracy is known. */
export async function measureFile(config: StudyConfig, flags: StudyFlags): Promise<StartAccuracy | undefined> {
  if (config.model.file === undefined || config.float?.from !== undefined) return undefined;
  const training = floatConfig(config) ?? exampleConfig(config);
  return measureStart(training, await loadData(training), flags);
}

/** `mine.onnx 84.17 %; trained in float 88.33 %; lsq W4A4 87.50 %`. */
export function fileComparison({ name, result }: StartAccuracy, { result: study }: FinishedStudy): string {
  const show = (accuracy: number) => showMetric(result.metric, accuracy);
  const chosen = study.cheapest ?? study.best;
  return [
    `${name} ${show(result.accuracy)}`,
    ...(study.reference.float === null ? [] : [`trained in float ${show(study.reference.float)}`]),
    ...(chosen === null ? [] : [`${chosen.recipe} ${bitsName(chosen)} ${show(chosen.accuracy)}`]),
  ].join("; ");
}
