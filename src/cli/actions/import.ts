/** What `subbyte import` does. */

import { ConfigError } from "../../errors.ts";
import { exportOnnx } from "../../importer/export.ts";
import type { ImportedNetwork } from "../../importer/import.ts";
import { importOnnxFile } from "../../importer/node-files.ts";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { dataInputs, parameterCount } from "../../ir/network.ts";
import type { ImportFlags } from "../flags.ts";

/** Reads `name=1x3x32x32` flags. @throws ConfigError for one that is written otherwise. */
export function parseInputShapes(texts: readonly string[] = []): Record<string, number[]> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^(.+)=(\d+(?:x\d+)*)$/.exec(text);
      if (match === null) {
        throw new ConfigError(`"${text}" is not an input with its shape`, {
          where: "--input-shape",
          remedy: "Write it as name=1x3x224x224.",
        });
      }
      return [match[1] ?? "", (match[2] ?? "").split("x").map(Number)];
    }),
  );
}

/** Reads a model, prints what it became, and writes it if asked. */
export async function importModel(path: string, flags: ImportFlags): Promise<void> {
  const network = importOnnxFile(path, {
    inputShapes: parseInputShapes(flags.inputShape),
    ...(flags.batch === undefined ? {} : { batch: flags.batch }),
    ...(flags.keepBatch === undefined ? {} : { keepBatch: flags.keepBatch }),
    ...(flags.restoreBatchNorm === undefined ? {} : { restoreBatchNorm: flags.restoreBatchNorm }),
  });
  if (flags.out !== undefined) await writeFileAtomic(flags.out, exportOnnx(network));
  const summary = describe(network);
  if (flags.json === true) {
    const document = { schemaVersion: 1, model: path, out: flags.out ?? null, ...summary };
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
    return;
  }
  const lines = [
    `${path}: ${summary.producer === "" ? "" : `from ${summary.producer}, `}opset ${summary.opset}`,
    ...summary.inputs.map(({ name, type }) => `input ${name}: ${type}`),
    ...summary.outputs.map(({ name, type }) => `output ${name}: ${type}`),
    `batch: ${summary.batch === "any" ? "any size" : `${summary.batch} only`}`,
    `${summary.nodes} nodes, ${summary.parameters} parameter tensors, ${summary.trainable} trainable numbers`,
    ...(summary.quantizers === 0 ? [] : [`${summary.quantizers} quantizers, as the file has them`]),
    ...summary.notes.map((note) => `note: ${note}`),
    ...heldLines(summary.held),
    ...(flags.out === undefined ? [] : [`written to ${flags.out}`]),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
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

/** One line for each reason, with how many parameters it holds. */
export function heldLines(held: Readonly<Record<string, string>>): string[] {
  const counts = new Map<string, number>();
  for (const reason of Object.values(held)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `not trained: ${count} parameter tensors before ${reason}`);
}
