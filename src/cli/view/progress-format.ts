/** The words of a progress line; nothing here writes, reads a clock or knows a terminal. */

import type { Shape } from "../../ir/types.ts";
import { isShare, metricTitle } from "../../train/loop/metric-text.ts";
import type { MetricName } from "../../train/loop/metrics.ts";
import type { StepProgress } from "../../train/loop/progress.ts";
import { displayWidth } from "./text-width.ts";

/** What samples are called. */
export type SampleWord = "images" | "samples";

/** `images` for samples of three dimensions, [channels, height, width]; else `samples`. */
export function sampleWord(sampleShape: Shape): SampleWord {
  return sampleShape.length === 3 ? "images" : "samples";
}

/** The progress after a training step. */
export interface StepReport extends Omit<StepProgress, "imagesPerSecond"> {
  /** Index of the stage in the job. */
  readonly stage: number;
  /** Steps done in the stage, over all of its epochs. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  readonly imagesPerSecond?: number;
}

/** The results at the end of an epoch. */
export interface EpochReport {
  readonly stage: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly trainLoss: number;
  readonly trainAccuracy?: number;
  readonly testLoss?: number;
  readonly test?: { readonly metric: MetricName; readonly value: number };
  readonly imagesPerSecond?: number;
}

/** A step's report with what the job's clock adds to it. */
export interface ProgressState {
  readonly stageName: string;
  readonly samples: SampleWord;
  readonly report: StepReport;
  /** Of the whole job, 0 to 1. */
  readonly fraction: number;
  readonly elapsedSeconds: number;
  readonly secondsLeft: number | undefined;
}

/** `42s`, `3m07s`, `2h05m`; `--` for a time that is not known. */
export function formatDuration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return "--";
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

/** `87.6%`; `--` when there is none. */
export function formatAccuracy(accuracy: number | undefined): string {
  return accuracy === undefined ? "--" : `${(accuracy * 100).toFixed(1)}%`;
}

/** An accuracy in percent with one decimal, an R² with three. */
function formatMetric({ metric, value }: NonNullable<EpochReport["test"]>): string {
  return isShare(metric) ? formatAccuracy(value) : value.toFixed(3);
}

/** Four significant digits at most, so that a loss keeps its width: `2.303`, `0.4121`, `1.2e+9`, `NaN`. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  if (loss !== 0 && (Math.abs(loss) >= 1e4 || Math.abs(loss) < 1e-4)) return loss.toExponential(1);
  const digits = Math.floor(Math.log10(Math.max(1, Math.abs(loss))));
  return loss.toFixed(loss < 1 ? 4 : 3 - digits);
}

/** `941`, `9.4`, `0.23`: two digits at least. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 10) return String(Math.round(perSecond));
  return perSecond >= 1 ? perSecond.toFixed(1) : perSecond === 0 ? "0" : Number(perSecond.toPrecision(2)).toString();
}

/** `941 images/s`. */
export function formatSpeed(perSecond: number, samples: SampleWord): string {
  return `${formatRate(perSecond)} ${samples}/s`;
}

/** `1.5 MB`, in units of 1000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `width` columns, filled by eighths of a column. */
export function formatBar(fraction: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * width * 8);
  const bar = "█".repeat(Math.floor(filled / 8)) + (eighths[filled % 8] ?? "");
  return bar.padEnd(width, "░");
}

/** The parts of a line after its bar, the most wanted first: a narrow terminal drops them from the end. */
export function progressParts(state: ProgressState): string[] {
  const { report } = state;
  return [
    `${state.stageName} epoch ${report.epoch}/${report.epochs} step ${report.stepInEpoch}/${report.stepsPerEpoch}`,
    `loss ${formatLoss(report.loss)}`,
    `left ${formatDuration(state.secondsLeft)}`,
    ...(report.accuracy === undefined ? [] : [`accuracy ${formatAccuracy(report.accuracy)}`]),
    ...(report.imagesPerSecond === undefined ? [] : [formatSpeed(report.imagesPerSecond, state.samples)]),
    `elapsed ${formatDuration(state.elapsedSeconds)}`,
  ];
}

/** The line of a terminal, never wider than `columns`. */
export function formatTerminalLine(state: ProgressState, columns: number): string {
  const barWidth = columns >= 100 ? 20 : columns >= 60 ? 10 : 0;
  const percent = `${Math.floor(state.fraction * 100)}%`.padStart(4);
  let line = barWidth === 0 ? percent : `${formatBar(state.fraction, barWidth)}${percent}`;
  for (const part of progressParts(state)) {
    const longer = `${line}  ${part}`;
    if (displayWidth(longer) > columns) break;
    line = longer;
  }
  return line.slice(0, Math.max(0, columns));
}

/** The line of a log file. */
export function formatPlainLine(state: ProgressState): string {
  return `${Math.floor(state.fraction * 100)}% ${progressParts(state).join(", ")}`;
}

/** The line that stays when an epoch is over. */
export function formatEpochLine(stageName: string, report: EpochReport, samples: SampleWord): string {
  const parts = [
    `loss ${formatLoss(report.trainLoss)}`,
    ...(report.trainAccuracy === undefined ? [] : [`accuracy ${formatAccuracy(report.trainAccuracy)}`]),
    ...(report.testLoss === undefined ? [] : [`test loss ${formatLoss(report.testLoss)}`]),
    ...(report.test === undefined ? [] : [`test ${metricTitle(report.test.metric)} ${formatMetric(report.test)}`]),
    ...(report.imagesPerSecond === undefined ? [] : [formatSpeed(report.imagesPerSecond, samples)]),
  ];
  return `${stageName} epoch ${report.epoch}/${report.epochs}: ${parts.join(", ")}`;
}
