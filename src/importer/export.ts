/**
 * The float network as an ONNX model that other tools open: parameters become initializers, operators of our own become
 * standard ones, and the size of the batch stays open.
 */

import { bindBatch } from "../compile/passes/bind-batch.ts";
import { copyNodes, mapped, type ValueMap } from "../compile/passes/copy.ts";
import { lowerGraph } from "../compile/passes/lower.ts";
import { newBuilder, operators } from "../compile/registry.ts";
import { type Graph, type GraphBuilder, makeValue, type Node, type Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { int64Tensor, type Tensor } from "../ir/tensor.ts";
import type { TensorType } from "../ir/types.ts";
import { type OnnxWriteOptions, writeOnnx } from "../onnx/write/write.ts";
import type { Target } from "../ops/definition.ts";
import { dependsOnBatch, unusualBatch } from "./batch.ts";

const generic: Target = { name: "generic", blockSize: 1 };

export interface ExportOptions extends OnnxWriteOptions {
  /** The symbol of the batch in the file, or false to keep the network's own size. Default "batch". */
  readonly batch?: string | false;
  /** How parameters of these names are stored, where not as they are: the nodes that make their values when the file is loaded. */
  readonly stored?: ReadonlyMap<string, (builder: GraphBuilder) => Value>;
}

/**
 * The network as the bytes of an ONNX model. Where a shape holds the size of the batch, the size is fixed.
 *
 * @example await writeFile("tuned.onnx", exportOnnx(network));
 */
export function exportOnnx(network: Network, options: ExportOptions = {}): Uint8Array<ArrayBuffer> {
  const { batch = "batch", stored = new Map(), ...rest } = options;
  const open = batch === false ? undefined : openGraph(network, stored);
  if (open === undefined || batch === false) return writeOnnx(withConstants(network, stored), rest);
  return writeOnnx(open, { ...rest, symbols: new Map([[unusualBatch, batch]]) });
}

/** The graph for a batch that occurs nowhere else, or undefined where it cannot be without one. */
function openGraph(network: Network, stored: StoredParameters): Graph | undefined {
  try {
    const graph = withConstants(bindBatch(network, unusualBatch), stored);
    for (const tensor of graph.constants.values()) {
      if (dependsOnBatch(tensor, { size: unusualBatch })) return undefined;
    }
    return graph;
  } catch {
    // A network that cannot be bound to another batch keeps its own.
    return undefined;
  }
}

type StoredParameters = NonNullable<ExportOptions["stored"]>;

function withConstants(network: Network, stored: StoredParameters): Graph {
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
  copyNodes(network.graph, builder, map);
  for (const output of network.graph.outputs) builder.output(output.name, mapped(map, output.value));
  const kept = new Map(network.graph.nodes.filter(isExpandBatch).map((node) => [node.name, node]));
  const lowered = lowerGraph(builder.finish(), withoutExpandBatch(), generic);
  return kept.size === 0 ? lowered : expandAtRunTime(lowered);
}

function isExpandBatch(node: Node): boolean {
  return node.op === "ExpandBatch" && node.domain === "subbyte";
}

/** The registry without the lowering of ExpandBatch, which would write the size of the batch. */
function withoutExpandBatch(): typeof operators {
  return new Map(
    [...operators].map(([key, definition]) => {
      if (definition.op !== "ExpandBatch") return [key, definition];
      const { lower: _lower, ...rest } = definition;
      return [key, rest];
    }),
  );
}

/** ExpandBatch as ONNX without fixed sizes: the target shape is put together from the shape of the reference. */
function expandAtRunTime(graph: Graph): Graph {
  const constants = new Map<Value, Tensor>(graph.constants);
  const constant = (tensor: Tensor): Value => {
    const value = makeValue("shape", { dtype: tensor.dtype, shape: tensor.shape });
    constants.set(value, tensor);
    return value;
  };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [x, reference] = node.inputs;
    if (!isExpandBatch(node) || x === undefined || reference === undefined) return [node];
    const axis = typeof node.attributes.axis === "number" ? node.attributes.axis : 0;
    const factor = typeof node.attributes.factor === "number" ? node.attributes.factor : 1;
    const plain = (
      op: string,
      inputs: readonly Value[],
      type: TensorType,
      attributes: Node["attributes"] = {},
    ): Node => ({
      op,
      domain: "",
      name: `${node.name}/${op}`,
      inputs,
      outputs: [makeValue(`${node.name}/${op}`, type)],
      attributes,
      origin: node.origin,
    });
    const one: TensorType = { dtype: "int64", shape: [1] };
    const rows = plain("Shape", [reference], one, { start: 0, end: 1 });
    const count = plain("Mul", [...rows.outputs, constant(int64Tensor([factor]))], one);
    const part = (from: number, to: number) => constant(int64Tensor(x.type.shape.slice(from, to).map(() => 1)));
    const rank = x.type.shape.length;
    const parts = [
      ...(axis > 0 ? [part(0, axis)] : []),
      ...count.outputs,
      ...(axis < rank - 1 ? [part(axis + 1, rank)] : []),
    ];
    const target = plain("Concat", parts, { dtype: "int64", shape: [rank] }, { axis: 0 });
    return [rows, count, target, { ...node, op: "Expand", domain: "", inputs: [x, ...target.outputs], attributes: {} }];
  });
  return { ...graph, nodes, constants };
}
