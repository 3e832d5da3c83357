/** What `subbyte import` does. */

import { defined } from "../../../base/defined.ts";
import { integerObstacles } from "../../../convert/obstacles.ts";
import { exportOnnx } from "../../../importer/export.ts";
import type { ImportedNetwork } from "../../../importer/import.ts";
import { importOnnxFile } from "../../../importer/node-files.ts";
import { dataInputs, parameterCount } from "../../../ir/network.ts";
import { frozenLines, parseInputShapes } from "../../imported-model.ts";
import { print, printJson } from "../../output.ts";
import { integerLines } from "../../view/integers-text.ts";
import { writeOutputs } from "../../write-output.ts";
import type { ImportFlags } from "./import.ts";

/** Reads a model, prints what it became, and writes it if asked. */
export async function importAction(path: string, flags: ImportFlags): Promise<void> {
  const network = importOnnxFile(path, {
    inputShapes: parseInputShapes(flags.inputShape),
    ...defined({ batch: flags.batch, keepBatch: flags.keepBatch, restoreBatchNorm: flags.restoreBatchNorm }),
  });
  if (flags.out !== undefined) await writeOutputs([{ file: flags.out, content: exportOnnx(network) }]);
  const summary = describe(network);
  const obstacles = integerObstacles(network);
  if (flags.json === true) {
    const integers = { converts: obstacles.length === 0, obstacles };
    return printJson({ schemaVersion: 1, model: path, out: flags.out ?? null, ...summary, integers });
  }
  print(
    `${path}: ${summary.producer === "" ? "" : `from ${summary.producer}, `}opset ${summary.opset}`,
    ...summary.inputs.map(({ name, type }) => `input ${name}: ${type}`),
    ...summary.outputs.map(({ name, type }) => `output ${name}: ${type}`),
    `batch: ${summary.batch === "any" ? "any size" : `${summary.batch} only`}`,
    `${summary.nodes} nodes, ${summary.parameters} parameter tensors, ${summary.trainable} trainable numbers`,
    ...(summary.quantizers === 0 ? [] : [`${summary.quantizers} quantizers from the file`]),
    ...integerLines(obstacles, { verbose: flags.verbose === true }),
    ...(flags.quiet === true ? [] : summary.notes.map((text) => `note: ${text}`)),
    ...(flags.verbose === true ? operatorLines(network) : []),
    ...frozenLines(summary.held),
    ...(flags.out === undefined ? [] : [`written to ${flags.out}`]),
  );
}

function describe(network: ImportedNetwork) {
  const { imported, graph, parameters, sites } = network;
  const show = (type: { dtype: string; shape: readonly number[] }) => {
    const [, ...rest] = type.shape;
    const first = imported.batch === "any" ? "batch" : type.shape[0];
    return `${type.dtype}[${[...(type.shape.length === 0 ? [] : [first]), ...rest].join(",")}]`;
  };
  return {
    producer: imported.producer,
    opset: imported.opset,
    batch: imported.batch,
    inputs: dataInputs(network).map(({ name, type }) => ({ name, type: show(type) })),
    outputs: graph.outputs.map(({ name, value }) => ({ name, type: show(value.type) })),
    nodes: graph.nodes.length,
    parameters: parameters.length,
    trainable: parameterCount(network),
    quantizers: sites?.length ?? 0,
    notes: imported.notes,
    held: Object.fromEntries(imported.held),
  };
}

/** How often each operator occurs, the most frequent first. */
function operatorLines({ graph }: ImportedNetwork): string[] {
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([op, count]) => `${op} ${count}`);
}
