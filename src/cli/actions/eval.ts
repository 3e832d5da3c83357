/** What `subbyte eval` does. */

import type { Dataset } from "../../data/dataset.ts";
import { firstSamples } from "../../data/dataset.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { modelTitle } from "../../train/config-schema.ts";
import { openConfiguredData, parseDataArgument } from "../../train/data-folder.ts";
import { evaluate as evaluateNetwork } from "../../train/evaluate.ts";
import { type LoadedRun, loadRun } from "../../train/load-run.ts";
import { levelsOf } from "../../train/run.ts";
import type { EvalFlags } from "../flags.ts";
import { formatTable } from "../table.ts";

/** Measures the network of a run on its own test images, or on other data. */
export async function evaluate(path: string, flags: EvalFlags): Promise<void> {
  const run = await loadRun(path, flags.checkpoint);
  const all = flags.data === undefined ? run.data.test : await otherData(flags.data, run);
  const data = flags.limit === undefined ? all : firstSamples(all, Math.min(flags.limit, all.count));
  const engine = nodeEngine(flags.threads === 0 ? {} : { threads: flags.threads });
  const result = await evaluateNetwork(
    run.network,
    data,
    engine,
    flags.batch === undefined ? {} : { batchSize: flags.batch },
  );
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
    process.stdout.write(`${JSON.stringify({ ...document, levels, ...result }, undefined, 2)}\n`);
    return;
  }
  const rows = [
    ["data", `${data.name}, ${result.count} ${data.sampleShape.length === 3 ? "images" : "samples"}`],
    ["levels of weights / activations", `${levels.weights ?? "float"} / ${levels.activations ?? "float"}`],
    [data.target.kind === "values" ? "variance explained (R²)" : "accuracy", `${(100 * result.accuracy).toFixed(2)} %`],
    ...(result.top5Accuracy === undefined ? [] : [["top-5 accuracy", `${(100 * result.top5Accuracy).toFixed(2)} %`]]),
    ["loss", result.loss.toFixed(4)],
    ["trained for", `${run.step} steps`],
  ];
  process.stdout.write(`${formatTable(["", modelTitle(run.config.model)], rows, process.stdout.columns)}\n`);
}

/** Other data as the network of the run has to see it: of the same size, classes and normalization. */
async function otherData(argument: string, run: LoadedRun): Promise<Dataset> {
  const { sampleShape, target, normalization } = run.data.test;
  const [channels, height, width] = sampleShape;
  const { resize, layout, task, target: column, ignore, memoryBytes } = run.config.data;
  const opened = await openConfiguredData({
    ...(resize === undefined ? {} : { resize }),
    ...(layout === undefined ? {} : { layout }),
    ...(task === undefined ? {} : { task }),
    ...(column === undefined ? {} : { target: column }),
    ...(ignore === undefined ? {} : { ignore }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    crop: 0,
    flip: false,
    ...(height === undefined || width === undefined ? {} : { size: [height, width] }),
    ...(channels === 1 || channels === 3 ? { channels } : {}),
    ...(target.kind === "classes" ? { classes: [...target.classes] } : {}),
    normalization: { mean: [...normalization.mean], std: [...normalization.std] },
    validationSplit: 0,
    ...parseDataArgument(argument),
  });
  return opened.test;
}
