/** The end of `subbyte train`: its result, what became better, and the next command. */

import type { SkippedSample } from "../../../data/dataset/dataset.ts";
import type { DiagnosisInput } from "../../../diagnose/input.ts";
import { dataInputs } from "../../../ir/network.ts";
import type { StartAccuracy } from "../../../train/float-accuracy.ts";
import { metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import { peakMemory } from "../../../train/memory.ts";
import type { RunResult, RunSummary } from "../../../train/run.ts";
import { note, outputColumns, print, printJson } from "../../output.ts";
import { expectationText } from "../../view/gap-text.ts";
import { formatBytes, formatRate, sampleWord } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";
import { changeText, startDocument } from "./start.ts";
import type { TrainFlags } from "./train.ts";

/** The flags of the command, and what the training started from. */
interface ReportOptions {
  readonly flags: TrainFlags;
  readonly start?: StartAccuracy | undefined;
  /** Whether the network converts to integers. */
  readonly converts: boolean;
  /** What was measured while it trained; absent: nothing. */
  readonly input?: DiagnosisInput | undefined;
}

/** Prints the result of a training: its table, the change against what it started from, and what to do next. */
export function reportRun(
  { summary, skipped, network }: RunResult,
  { flags, start, converts, input }: ReportOptions,
): void {
  if (skipped.length > 0 && flags.quiet !== true) note(...skippedText(skipped));
  if (flags.json === true) {
    printJson(start === undefined ? summary : { ...summary, start: startDocument(start) });
    return;
  }
  const { metric } = summary;
  const samples = sampleWord(dataInputs(network)[0]?.type.shape.slice(1) ?? []);
  const rows = [
    ["quantization", summary.quantization],
    [
      "levels of weights / activations",
      `${summary.levels.weights ?? "float"} / ${summary.levels.activations ?? "float"}`,
    ],
    [`test ${metricTitle(metric)}`, showMetric(metric, summary.accuracy)],
    [`best test ${metricTitle(metric)}`, showMetric(metric, summary.bestAccuracy)],
    ...(summary.top5Accuracy === undefined ? [] : [["test top-5 accuracy", showMetric(metric, summary.top5Accuracy)]]),
    ...(summary.macroF1 === undefined ? [] : [["test macro F1", summary.macroF1.toFixed(4)]]),
    ...(summary.perplexity === undefined ? [] : [["test perplexity", summary.perplexity.toPrecision(5)]]),
    ...(summary.meanAbsoluteError === undefined
      ? []
      : [["test mean absolute error", summary.meanAbsoluteError.toPrecision(4)]]),
    ["test loss", summary.loss.toFixed(4)],
    ["steps", String(summary.steps)],
    [`${samples}/s`, formatRate(summary.imagesPerSecond)],
    ["waiting for data", waitingShare(summary)],
    ["peak memory", formatBytes(peakMemory())],
    ["run", summary.folder],
  ];
  print(...tableLines(["", summary.model], rows, outputColumns()));
  if (start !== undefined) print(changeText(start, summary));
  const expectation = input === undefined ? undefined : expectationText(input);
  if (expectation !== undefined) print(expectation);
  if (flags.quiet !== true) note(...nextSteps(summary, converts));
}

/** The commands that usually come after a training, as `next: …`. */
function nextSteps({ folder, levels }: RunSummary, converts: boolean): string[] {
  const isFloat = levels.weights === null && levels.activations === null;
  const commands = isFloat
    ? [`subbyte train --from ${folder} --preset lsq --weight-bits 4 --activation-bits 4`]
    : [`subbyte diagnose ${folder}`, `subbyte convert ${folder} ${converts ? "--verify" : "--format float"}`];
  return commands.map((command) => `next: ${command}`);
}

/** The share of the training's time in which its next batch was not ready. */
function waitingShare({ seconds, dataSeconds }: RunSummary): string {
  return seconds === 0 ? "-" : `${((100 * dataSeconds) / seconds).toFixed(1)} %`;
}

/** How many samples could not be read, and why the first of them could not. */
function skippedText(skipped: readonly SkippedSample[]): string[] {
  const shown = skipped.slice(0, 3).map(({ name, reason }) => `  ${name}: ${reason}`);
  const rest = skipped.length > shown.length ? [`  and ${skipped.length - shown.length} more`] : [];
  return [`${skipped.length} ${skipped.length === 1 ? "sample was" : "samples were"} skipped:`, ...shown, ...rest];
}
