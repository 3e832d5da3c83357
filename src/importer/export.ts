/**
 * The float network as an ONNX model that other tools open: parameters become initializers, operators of our own become
 * standard ones, and the size of the batch stays open.
 */

import { bindBatch } from "../compile/passes/bind-batch.ts";
import { copyNodes, mapped, type NodeRule, type ValueMap } from "../compile/passes/copy.ts";
import { lowerGraph } from "../compile/passes/lower.ts";
import { newBuilder, operators } from "../compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { type OnnxWriteOptions, writeOnnx } from "../onnx/write/write.ts";
import { genericTarget } from "../ops/targets.ts";
import { batchAtRunTime, withoutBatchForms } from "./batch/at-run-time.ts";
import { openGraph } from "./batch/open-graph.ts";

/** Options of the export as an ONNX file. */
export interface ExportOptions extends OnnxWriteOptions {
  /** The symbol of the batch in the file, or false to keep the network's own size. Default "batch". */
  readonly batch?: string | false;
  /** The nodes that compute the values of these parameters when the file is loaded; other parameters are stored as they are. */
  readonly stored?: ReadonlyMap<string, (builder: GraphBuilder) => Value>;
  /** Returns what stands in place of a node; undefined for a node that is written as it is. */
  readonly rule?: (graph: Graph, builder: GraphBuilder) => NodeRule;
}

/**
 * The network as the bytes of an ONNX model. Where a shape holds the size of the batch, the size is fixed.
 *
 * @example
 * await writeFile("tuned.onnx", exportOnnx(network));
 * console.log(exportOnnx(network).byteLength > 0); // true
 */
export function exportOnnx(network: Network, options: ExportOptions = {}): Uint8Array<ArrayBuffer> {
  const { batch = "batch", stored, rule, ...rest } = options;
  const made = (bound: Network) => withConstants(bound, stored ?? new Map(), rule);
  const open = batch === false ? undefined : openGraph((size) => made(bindBatch(network, size)));
  if (open === undefined || batch === false) return writeOnnx(made(network), rest);
  return writeOnnx(open.graph, { ...rest, symbols: (value, axis) => open.symbolOf(value, axis, batch) });
}

type StoredParameters = NonNullable<ExportOptions["stored"]>;

function withConstants(network: Network, stored: StoredParameters, rule: ExportOptions["rule"]): Graph {
  const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const builder = newBuilder(network.graph.name);
  const map: ValueMap = new Map();
  for (const input of network.graph.inputs) {
    const tensor = values.get(input.name);
    const make = stored.get(input.name);
    // Small equal constants are one value, which is right here: nothing trains them any more.
    if (make !== undefined) map.set(input, make(builder));
    else if (tensor !== undefined) map.set(input, builder.constant(tensor, input.name));
    else map.set(input, builder.input(input.name, input.type));
  }
  copyNodes(network.graph, builder, map, rule?.(network.graph, builder));
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  return batchAtRunTime(lowerGraph(builder.finish(), withoutBatchForms(operators), genericTarget));
}
