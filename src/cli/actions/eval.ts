/** What `subbyte eval` does. */
import { isQuantized } from "../../compile/passes/quantize.ts";
import { modelTitle } from "../../config/schema.ts";
import { convert } from "../../convert/convert.ts";
import { evaluateIntegers } from "../../convert/prove/evaluate-integers.ts";
import { RuntimeError } from "../../errors.ts";
import { openEngine } from "../../runtime/node-devices.ts";
import { notFinite } from "../../train/divergence/divergence.ts";
import { loadRun } from "../../train/load-run.ts";
import { evaluate as evaluateNetwork, inputOf } from "../../train/loop/evaluate.ts";
import { metricTitle, showMetric } from "../../train/loop/metric-text.ts";
import { levelsOf } from "../../train/run.ts";
import type { EvalFlags } from "../flags.ts";
import { testData } from "../run-data.ts";
import { formatTable } from "../view/table.ts";

/** Measures the network of a run on its own test images, or on other data. */
export async function evaluate(path: string, flags: EvalFlags): Promise<void> {
  const run = await loadRun(path, flags.checkpoint);
  const data = await testData(run, flags);
  const { device, threads } = flags;
  const engine = await openEngine({ device, ...(threads === 0 ? {} : { threads }) });
  const options = flags.batch === undefined ? {} : { batchSize: flags.batch };
  const result =
    flags.integer === true
      ? await evaluateIntegers(convert(run.network, { input: inputOf(run.data.test) }), data, engine, options)
      : await evaluateNetwork(run.network, data, engine, {
          ...options,
          ...(run.teacher === undefined ? {} : { judge: run.teacher }),
        });
  if (!Number.isFinite(result.loss)) {
    throw new RuntimeError(`${notFinite("the loss", result.loss)}: this is no result`, {
      where: path,
      remedy:
        "The weights of this checkpoint, or the data, are not sound: try an earlier checkpoint with --checkpoint.",
    });
  }
  const arithmetic = flags.integer === true ? "integers" : isQuantized(run.network) ? "simulation" : "float";
  const levels = levelsOf(run.config);
  if (flags.json === true) {
    const { name, count } = data;
    const document = {
      schemaVersion: 1,
      run: path,
      checkpoint: flags.checkpoint,
      step: run.step,
      data: { name, count },
    };
    process.stdout.write(`${JSON.stringify({ ...document, arithmetic, levels, ...result }, undefined, 2)}\n`);
    return;
  }
  const rows = [
    ["data", `${data.name}, ${result.count} ${data.sampleShape.length === 3 ? "images" : "samples"}`],
    ["levels of weights / activations", `${levels.weights ?? "float"} / ${levels.activations ?? "float"}`],
    ...(flags.integer === true ? [["arithmetic", "integers, as converted"]] : []),
    [metricTitle(result.metric), showMetric(result.metric, result.accuracy)],
    ...(result.top5Accuracy === undefined ? [] : [["top-5 accuracy", `${(100 * result.top5Accuracy).toFixed(2)} %`]]),
    ...(result.relativeError === undefined ? [] : [["relative error", result.relativeError.toExponential(2)]]),
    ...(result.meanAbsoluteError === undefined
      ? []
      : [["mean absolute error", result.meanAbsoluteError.toPrecision(4)]]),
    ["loss", result.loss.toFixed(4)],
    ["trained for", `${run.step} steps`],
  ];
  process.stdout.write(`${formatTable(["", modelTitle(run.config.model)], rows, process.stdout.columns)}\n`);
}
