/** What `--dry-run` found, in lines. */

import type { LayerCost, OperandCost } from "../../runs/cost.ts";
import type { CheckedData, TrainingCheck } from "../training-check.ts";
import { integerLines } from "./integers-text.ts";
import { formatBytes, formatDuration, formatRate, sampleWord } from "./progress-format.ts";
import { type Cell, tableLines } from "./table.ts";

/** Classes that are named; more are counted. */
const namedClasses = 12;

function labelsText({ classes, values, target }: CheckedData): string {
  if (classes === null) return values === null ? target : `${values} ${values === 1 ? "value" : "values"} to predict`;
  const named = classes.slice(0, namedClasses).join(", ");
  const more = classes.length > namedClasses ? ` and ${classes.length - namedClasses} more` : "";
  return `${classes.length} classes: ${named}${more}`;
}

function numbers(values: readonly number[]): string {
  const shown = values.slice(0, 4).map((value) => Number(value.toPrecision(4)));
  return `${shown.join(", ")}${values.length > shown.length ? ", …" : ""}`;
}

function operand({ bits, levels }: OperandCost): string {
  return levels === null ? "float" : `${bits} (${levels} levels)`;
}

function layerRow({ name, operator, weights, weight, activation }: LayerCost): Cell[] {
  return [name, operator, weights, operand(weight), operand(activation)];
}

/** Returns the data, the model, the bits of each layer, and what the training takes. */
export function checkLines(check: TrainingCheck, columns: number | undefined): string[] {
  const { data } = check;
  const kind = sampleWord(data.sampleShape);
  const { mean, standardDeviation } = data.normalization;
  return [
    ...check.notes.map((text) => `note: ${text}`),
    `data: ${data.name}, ${data.train} training and ${data.test} test ${kind} of ${data.sampleShape.join("x")} (${data.sampleType}), ${labelsText(data)}`,
    mean.length === 0
      ? "normalization: none, the samples enter as they are"
      : `normalization: mean ${numbers(mean)}; standard deviation ${numbers(standardDeviation)}`,
    `model: ${check.model}, ${check.parameters} trainable numbers, ${check.layers.length} layers`,
    ...tableLines(
      ["layer", "operator", "weights", "bits of the weights", "bits of the input"],
      check.layers.map(layerRow),
      columns,
    ),
    ...integerLines(check.integers.obstacles),
    `memory: about ${formatBytes(check.memoryBytes)}`,
    `time: ${check.seconds < 1 ? "less than 1s" : `about ${formatDuration(check.seconds)}`} for ${check.steps} steps of ${stepText(check)}; reading data, evaluation and compilation come on top`,
  ];
}

function stepText({ secondsPerStep, batchSize, measuredBatchSize }: TrainingCheck): string {
  const time = secondsPerStep < 1 ? `${formatRate(1000 * secondsPerStep)} ms` : `${secondsPerStep.toFixed(1)} s`;
  return measuredBatchSize === batchSize
    ? time
    : `${time} (measured with ${measuredBatchSize} of ${batchSize} samples)`;
}
