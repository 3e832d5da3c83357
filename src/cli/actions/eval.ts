/** What `subbyte eval` does. */

import type { Dataset } from "../../data/dataset.ts";
import { firstSamples } from "../../data/dataset.ts";
import { loadFashionMnist } from "../../data/fashion-mnist.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { dataFolder, parseDataArgument } from "../../train/data-folder.ts";
import { evaluate as evaluateNetwork } from "../../train/evaluate.ts";
import { loadRun } from "../../train/load-run.ts";
import { levelsOf } from "../../train/run.ts";
import type { EvalFlags } from "../flags.ts";
import { formatTable } from "../table.ts";

/** Measures the network of a run on its own test images, or on other data. */
export async function evaluate(path: string, flags: EvalFlags): Promise<void> {
  const run = await loadRun(path, flags.checkpoint);
  const all = flags.data === undefined ? run.data.test : await otherData(flags.data);
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
    ["data", `${data.name}, ${result.count} images`],
    ["levels of weights / activations", `${levels.weights ?? "float"} / ${levels.activations ?? "float"}`],
    ["accuracy", `${(100 * result.accuracy).toFixed(2)} %`],
    ["loss", result.loss.toFixed(4)],
    ["trained for", `${run.step} steps`],
  ];
  process.stdout.write(`${formatTable(["", run.config.model.name], rows, process.stdout.columns)}\n`);
}

async function otherData(argument: string): Promise<Dataset> {
  const folder = dataFolder({ ...parseDataArgument(argument), crop: 0, flip: false });
  return (await loadFashionMnist(folder === undefined ? {} : { folder })).test;
}
