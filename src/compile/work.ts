/**
 * What each node of a training step is there for. Every node of the lowered graph carries the name of the node of the
 * high-level graph that it came from, followed by a slash: that is how time measured in the engine finds its way back.
 */
import { type Graph, intAttribute, type Node, producers, type Value } from "../ir/graph.ts";
import { elementCount } from "../ir/types.ts";
import { isLayer } from "./layers.ts";
import { gradientPrefix } from "./passes/differentiate.ts";

/** The kinds of work of a training step, in the order in which they are shown. */
export const workKinds = [
  "layers forward",
  "gradient of inputs",
  "gradient of weights",
  "normalization",
  "quantizers",
  "data movement",
  "optimizer",
  "other",
] as const;
export type WorkKind = (typeof workKinds)[number];

export interface Work {
  /** The module of the network; empty for what belongs to none (loss, input). */
  readonly layer: string;
  readonly kind: WorkKind;
}

/** Operators of the engine that compute nothing: they copy, reorder or repeat. */
export const movements: ReadonlySet<string> = new Set([
  "Concat",
  "Expand",
  "Flatten",
  "Gather",
  "Identity",
  "Pad",
  "ReorderInput",
  "ReorderOutput",
  "Reshape",
  "Slice",
  "Split",
  "Squeeze",
  "Tile",
  "Transpose",
  "Unsqueeze",
]);

const kindOfOperator: Readonly<Record<string, WorkKind>> = {
  ConvGradInput: "gradient of inputs",
  ConvGradWeight: "gradient of weights",
  BatchNormTrain: "normalization",
  BatchNormTrainGrad: "normalization",
  BatchNormalization: "normalization",
  LayerNormalization: "normalization",
  GroupNormalization: "normalization",
  InstanceNormalization: "normalization",
  FakeQuantize: "quantizers",
  FakeQuantizeGrad: "quantizers",
};

/** What the names of the optimizer's nodes begin with. */
export const optimizerScope = "optimizer";

/** Says of a node that the engine ran, by its name and operator, what it was for. */
export type WorkOf = (name: string, op: string) => Work;

/**
 * @param graph A training step before it was lowered.
 * @param lowered The same step lowered. The convolution before a normalization is made where that is lowered, which may
 * ask for a bias: what tells it from the normalization's own scaling, a convolution of single channels, are its groups.
 */
export function workOf(graph: Graph, lowered: Graph): WorkOf {
  const known = new Map(graph.nodes.map((node) => [node.name, originOf(node)]));
  const normalized = layersBefore(graph, "normalization");
  const convolutions = new Set(
    lowered.nodes.filter((node) => node.op === "Conv" && intAttribute(node, "group", 1) === 1).map(({ name }) => name),
  );
  return (name, op) => {
    const origin = longestPrefix(known, name) ?? { layer: "", kind: "other" };
    if (movements.has(op)) return { ...origin, kind: "data movement" };
    const layer = normalized.get(origin.layer);
    const isMoved = origin.kind === "normalization" && layer !== undefined && !name.startsWith(gradientPrefix);
    return isMoved && convolutions.has(name) ? { layer, kind: "layers forward" } : origin;
  };
}

/** The layer whose output a module of some kind reads, by that module's name. */
function layersBefore(graph: Graph, kind: WorkKind): Map<string, string> {
  const madeBy = producers(graph);
  const layers = new Map<string, string>();
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    const producer = input === undefined ? undefined : madeBy.get(input);
    if (producer === undefined || !isLayer(producer) || originOf(node).kind !== kind) continue;
    layers.set(originOf(node).layer, originOf(producer).layer);
  }
  return layers;
}

function longestPrefix(known: ReadonlyMap<string, Work>, name: string): Work | undefined {
  const parts = name.split("/");
  for (let length = parts.length; length > 0; length--) {
    const prefix = parts.slice(0, length).join("/");
    // The writer makes names unique by a number at their end.
    const found = known.get(prefix) ?? known.get(prefix.replace(/_\d+$/, ""));
    if (found !== undefined) return found;
  }
  return undefined;
}

function originOf(node: Node): Work {
  const { name, op } = node;
  if (name.startsWith(`${optimizerScope}/`)) {
    const [, parameter = ""] = name.split("/");
    return { layer: moduleOf(parameter.replace(/\.[^.]*$/, "")), kind: "optimizer" };
  }
  const isGradient = name.startsWith(gradientPrefix);
  const module = isGradient ? (name.split("/")[1] ?? "") : name;
  const layer = moduleOf(module);
  const kind = kindOfOperator[op];
  if (kind !== undefined) return { layer, kind };
  if (isLayer(node)) return { layer, kind: isGradient ? gradientKind(node) : "layers forward" };
  return { layer, kind: "other" };
}

/** The gradient of a matrix product is one too: that of the weight has the weight's shape, which has no batch. */
function gradientKind(node: Node): WorkKind {
  return intAttribute(node, "transA", 0) === 1 ? "gradient of weights" : "gradient of inputs";
}

/** `layer1.0.conv1.weight.quantizer` → `layer1.0.conv1`; names that the builder made up belong to no module. */
function moduleOf(name: string): string {
  if (/^[A-Z]\w*_\d+$/.test(name)) return "";
  return name.replace(/\.(input|output|weight)?\.?quantizer$/, "").replace(/\.(input|output|weight)$/, "");
}

/**
 * Floating-point operations (a multiplication and an addition are two) of the convolutions and matrix products of a
 * training step, by what they are for.
 */
export function floatOperations(graph: Graph): Map<WorkKind, number> {
  const totals = new Map<WorkKind, number>();
  for (const node of graph.nodes) {
    const operations = operationsOf(node);
    if (operations === 0) continue;
    const { kind } = originOf(node);
    totals.set(kind, (totals.get(kind) ?? 0) + operations);
  }
  return totals;
}

function operationsOf({ op, inputs, outputs }: Node): number {
  const [first, second] = inputs;
  const [output] = outputs;
  if (first === undefined || second === undefined || output === undefined) return 0;
  // Per element of the convolution's output: the channels that one filter reads, times the filter's area.
  if (op === "Conv") return 2 * size(output) * perFilter(second);
  if (op === "ConvGradInput") return 2 * size(first) * perFilter(second);
  if (op === "ConvGradWeight") return 2 * size(first) * perFilter(output);
  if (op === "Gemm" || op === "MatMul") {
    const rows = output.type.shape.at(-2) ?? 1;
    return 2 * size(output) * (size(first) / Math.max(1, rows * batchOf(first, output)));
  }
  return 0;
}

function batchOf(first: Value, output: Value): number {
  return first.type.shape.length > 2 ? elementCount(output.type.shape.slice(0, -2)) : 1;
}

function size(value: Value): number {
  return elementCount(value.type.shape);
}

function perFilter(weight: Value): number {
  return elementCount(weight.type.shape.slice(1));
}
