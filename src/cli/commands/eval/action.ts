/** What `subbyte eval` does. */

import { isQuantized } from "../../../compile/sites.ts";
import { modelTitle } from "../../../config/schema/schema.ts";
import { convert } from "../../../convert/convert.ts";
import type { IntegerNetwork } from "../../../convert/integer-network.ts";
import { evaluateIntegers } from "../../../convert/prove/evaluate-integers.ts";
import type { Dataset } from "../../../data/dataset/dataset.ts";
import { ConfigError, RuntimeError } from "../../../errors.ts";
import { openEngine } from "../../../runtime/node/devices.ts";
import { notFinite } from "../../../train/divergence/divergence.ts";
import { evaluateWithOrder } from "../../../train/fit/class-order.ts";
import { type LoadedRun, loadRun } from "../../../train/load-run.ts";
import { type EvaluationResult, evaluate as evaluateNetwork, inputOf } from "../../../train/loop/evaluate.ts";
import { metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import { levelsOf } from "../../../train/run.ts";
import { outputColumns, print, printJson, printNotesOn } from "../../output.ts";
import { testData } from "../../run-data.ts";
import { sampleWord } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";
import { withResidualBits } from "../convert/residual-bits.ts";
import type { EvalFlags } from "./eval.ts";
import { isModelFile, normalizationText, openEvaluatedFile } from "./file.ts";

/** Measures the network of a run on its own test images, or on other data, or that of a model's file. */
export async function evalAction(path: string, flags: EvalFlags): Promise<void> {
  if (isModelFile(path)) return evaluateFile(path, flags);
  if (flags.set !== undefined) {
    throw new ConfigError("a run keeps the configuration of its data", {
      where: "--set",
      remedy: "Leave it out; --data names other data.",
    });
  }
  const run = await loadRun(path, flags.checkpoint);
  const { data, notes } = await testData(run, flags);
  printNotesOn(notes, flags);
  const { device, threads } = flags;
  const engine = await openEngine({ device, threads });
  const options = flags.batch === undefined ? {} : { batchSize: flags.batch };
  const result =
    flags.integer === true
      ? await evaluateIntegers(await integersOf(run, flags), data, engine, options)
      : await evaluateNetwork(run.network, data, engine, {
          ...options,
          ...(run.teacher === undefined ? {} : { teacher: run.teacher }),
        });
  if (!Number.isFinite(result.loss)) {
    throw new RuntimeError(`${notFinite("the loss", result.loss)}: there is no result`, {
      where: path,
      remedy: "The weights of this checkpoint or the data hold NaN or infinite values: try --checkpoint best.",
    });
  }
  const arithmetic = flags.integer === true ? "integers" : isQuantized(run.network) ? "simulation" : "float";
  const levels = levelsOf(run.config, run.network);
  if (flags.json === true) {
    const { name, count } = data;
    const { checkpoint } = flags;
    const document = { schemaVersion: 1, run: path, checkpoint, step: run.step, data: { name, count } };
    return printJson({ ...document, arithmetic, levels, notes, ...result });
  }
  const rows = [
    ["data", sizeText(data, result)],
    ["levels of weights / activations", `${levels.weights ?? "float"} / ${levels.activations ?? "float"}`],
    ...(flags.integer === true ? [["arithmetic", "integers, as converted"]] : []),
    ...resultRows(result, data),
    ["trained for", `${run.step} steps`],
  ];
  print(...tableLines(["", modelTitle(run.config.model)], rows, outputColumns()));
  if (flags.verbose === true && isQuantized(run.network)) {
    const sites = run.network.sites.map(({ layer, kind, spec }) => [layer, kind, spec.bits]);
    print(...tableLines(["layer", "quantizer of", "bits"], sites, outputColumns()));
  }
}

async function evaluateFile(path: string, flags: EvalFlags): Promise<void> {
  const { name, network, data, notes: found } = await openEvaluatedFile(path, flags);
  const { device, threads, batch } = flags;
  const engine = await openEngine({ device, threads });
  const options = batch === undefined ? {} : { batchSize: batch };
  const { result, notes: ofOrder } = await evaluateWithOrder(network, data, engine, options);
  const notes = [...found, ...ofOrder];
  if (!Number.isFinite(result.loss)) {
    throw new RuntimeError(`${notFinite("the loss", result.loss)}: there is no result`, {
      where: path,
      remedy: "The data holds NaN or infinite values, or the model's values overflow with this normalization.",
    });
  }
  const normalization = normalizationText(data);
  if (flags.json === true) {
    const { mean, std } = data.normalization;
    const document = { schemaVersion: 1, model: path, data: { name: data.name, count: data.count } };
    return printJson({ ...document, normalization: { mean, std }, arithmetic: "float", notes, ...result });
  }
  printNotesOn(notes, flags);
  const rows = [["data", sizeText(data, result)], ["normalization", normalization], ...resultRows(result, data)];
  print(...tableLines(["", name], rows, outputColumns()));
}

function sizeText({ name, sampleShape }: Dataset, { count }: EvaluationResult): string {
  return `${name}, ${count} ${sampleWord(sampleShape)}`;
}

/** The metrics as rows of a table. */
function resultRows(result: EvaluationResult, { target }: Dataset): string[][] {
  return [
    [metricTitle(result.metric), showMetric(result.metric, result.accuracy)],
    ...(result.top5Accuracy === undefined ? [] : [["top-5 accuracy", `${(100 * result.top5Accuracy).toFixed(2)} %`]]),
    ...(result.relativeError === undefined ? [] : [["relative error", result.relativeError.toExponential(2)]]),
    ...(result.meanAbsoluteError === undefined
      ? []
      : [["mean absolute error", result.meanAbsoluteError.toPrecision(4)]]),
    ...(result.positionAccuracy === undefined
      ? []
      : [["accuracy of positions", showMetric("accuracy", result.positionAccuracy)]]),
    ...(result.macroF1 === undefined ? [] : [["macro F1", result.macroF1.toFixed(4)]]),
    ...classRows("F1", result.classF1, target),
    ...classRows("IoU", result.classIoU, target),
    ...(result.reconstruction === undefined
      ? []
      : [[metricTitle("reconstruction"), showMetric("reconstruction", result.reconstruction)]]),
    ...(result.averagePrecision50 === undefined
      ? []
      : [["mAP@0.5", showMetric("meanAveragePrecision", result.averagePrecision50)]]),
    ...classRows("AP", result.classAveragePrecision, target),
    ...(result.perplexity === undefined ? [] : [["perplexity", result.perplexity.toPrecision(5)]]),
    ...(result.positions === undefined ? [] : [["positions that count", String(result.positions)]]),
    ["loss", result.loss.toFixed(4)],
  ];
}

/** Classes whose metric is shown; `--json` has all. */
const shownClasses = 20;

function classRows(title: string, values: EvaluationResult["classF1"], target: Dataset["target"]): string[][] {
  if (values === undefined || values.length > shownClasses) return [];
  const names = target.kind === "dense" || target.kind === "boxes" ? target.classes : [];
  return values.flatMap((value, k) =>
    value === null ? [] : [[`${title} of ${names[k] ?? `class ${k}`}`, value.toFixed(4)]],
  );
}

/** The integers that `subbyte convert` makes of a run. */
async function integersOf({ network, data }: LoadedRun, flags: EvalFlags): Promise<IntegerNetwork> {
  const source = isQuantized(network) ? await withResidualBits(network, data.train, flags) : network;
  return convert(source, { input: inputOf(data.test) });
}
