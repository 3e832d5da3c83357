/**
 * The path of a value between two layers, read off the quantized graph: from FakeQuantize to FakeQuantize without
 * a layer in between, and what becomes of the negative part of a grid that a ReLU follows.
 */
import { consumers, type Graph, type Node, producers, type Value } from "../../ir/graph.ts";
import { isOperator, type OperatorTraits } from "../../ops/definition.ts";
import { reluOperator } from "../../ops/families/activations.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";

/** Returns what is known of a node's operator. Given by the room that has the registry, which holds those of plugins too. */
export type TraitsOf = (node: Node) => OperatorTraits;

/** The quantizers of one way, from the first after a layer to the last before the next one. */
export interface QuantizedPath {
  /** Names of the FakeQuantize nodes, in order. */
  readonly sites: readonly string[];
  /** The operators whose results they quantize: `Conv`, `BatchNormalization`, `Relu`. */
  readonly operators: readonly string[];
}

/** The paths between layers. */
export interface QuantizedPaths {
  /** For each FakeQuantize node of an activation, the longest way that ends in it. */
  readonly pathTo: ReadonlyMap<string, QuantizedPath>;
  /** Paths that no further quantizer extends. */
  readonly complete: readonly QuantizedPath[];
  /** Activations' FakeQuantize nodes whose only reader is a ReLU. */
  readonly beforeRelu: ReadonlySet<string>;
}

/** Reads the ways off a graph. `activations` holds the names of the FakeQuantize nodes of activations. */
export function quantizedPaths(graph: Graph, activations: ReadonlySet<string>, traitsOf: TraitsOf): QuantizedPaths {
  const endsPath = (node: Node) => traitsOf(node).layer !== undefined;
  const readers = consumers(graph);
  const madeBy = producers(graph);
  const pathTo = new Map<string, QuantizedPath>();
  const pathOf = new Map<Value, QuantizedPath>();
  const continued = new Set<string>();
  const beforeRelu = new Set<string>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (output === undefined || endsPath(node)) continue;
    const ways = node.inputs.map((value) => (value === undefined ? undefined : pathOf.get(value)));
    const incoming = longest(ways);
    if (!isFakeQuantize(node) || !activations.has(node.name)) {
      if (incoming === undefined) continue;
      // Where ways meet, the longest is followed, and the others end in it.
      const ends = new Set(ways.flatMap((way) => (way === undefined || way === incoming ? [] : [lastOf(way)])));
      for (const end of ends) continued.add(end);
      for (const value of node.outputs) pathOf.set(value, incoming);
      continue;
    }
    // A quantizer of another time step: the path through a layer is that of one step.
    if (incoming?.sites.includes(node.name) === true) {
      for (const value of node.outputs) pathOf.set(value, incoming);
      continue;
    }
    if (incoming !== undefined) continued.add(lastOf(incoming));
    const path = {
      sites: [...(incoming?.sites ?? []), node.name],
      operators: [...(incoming?.operators ?? []), sourceOperator(node, madeBy)],
    };
    pathTo.set(node.name, path);
    // What a layer reads is stored anyway: the skip branch that also reads it starts a way of its own there.
    const next = readers.get(output) ?? [];
    if (!next.some(endsPath)) pathOf.set(output, path);
    if (next.length > 0 && next.every((reader) => isOperator(reluOperator, reader))) beforeRelu.add(node.name);
  }
  const complete = [...pathTo].filter(([name]) => !continued.has(name)).map(([, path]) => path);
  return { pathTo, complete, beforeRelu };
}

function lastOf(path: QuantizedPath): string {
  return path.sites.at(-1) ?? "";
}

function longest(paths: readonly (QuantizedPath | undefined)[]): QuantizedPath | undefined {
  return paths.reduce((best, path) => ((path?.sites.length ?? 0) > (best?.sites.length ?? 0) ? path : best), undefined);
}

function sourceOperator(node: Node, madeBy: ReadonlyMap<Value, Node>): string {
  const [x] = node.inputs;
  return (x === undefined ? undefined : madeBy.get(x)?.op) ?? "input";
}
