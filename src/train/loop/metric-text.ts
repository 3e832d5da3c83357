/** The words and numbers in which results are shown: an R² is no accuracy, and must not be called one. */
import type { OutputKind } from "../../compile/build/outputs.ts";
import type { LabelType } from "../../data/dataset/dataset.ts";
import { denseMetric } from "../metrics/dense.ts";
import type { MetricName } from "./metrics.ts";

const titles: Readonly<Record<MetricName, string>> = {
  accuracy: "accuracy",
  r2: "R²",
  agreement: "agreement with the teacher",
  teacherR2: "R² to the teacher",
  tokenAccuracy: "token accuracy",
  maskedAccuracy: "accuracy of masked tokens",
  nextTokenAccuracy: "accuracy of next tokens",
  meanIoU: "mean IoU",
  meanAveragePrecision: "mAP@[.5:.95]",
  reconstruction: "R² of the reconstruction",
  auc: "AUC",
};

/** Returns the name of a metric: `accuracy`, `R²`. */
export function metricTitle(metric: MetricName): string {
  return titles[metric];
}

/** Whether a metric is a share of samples, shown in percent. */
export function isShare(metric: MetricName): boolean {
  return metric !== "r2" && metric !== "teacherR2" && metric !== "reconstruction" && metric !== "auc";
}

/** A metric's value: `87.60 %`, or `0.9312` for an R². */
export function showMetric(metric: MetricName, value: number): string {
  return isShare(metric) ? `${(100 * value).toFixed(2)} %` : value.toFixed(4);
}

/** Returns the metric for a target; `outputs` is the kind of a teacher's output. */
export function metricOf(target: LabelType, outputs: OutputKind = "classes"): MetricName {
  if (target.kind === "classes") return "accuracy";
  if (target.kind === "values") return "r2";
  if (target.kind === "dense") return denseMetric(target);
  if (target.kind === "boxes") return "meanAveragePrecision";
  if (target.kind === "input") return target.hasAnomalies ? "auc" : "reconstruction";
  return outputs === "classes" ? "agreement" : "teacherR2";
}
