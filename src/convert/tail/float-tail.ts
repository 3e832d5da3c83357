/**
 * The float tail: what stands behind the last layer and has no integer form (Softmax, the decoding of boxes) stays in float. The integer
 * network ends where it begins, with real numbers.
 */

import { isLayer } from "../../compile/layers.ts";
import { copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { batchValueOperator, newBuilder, traitsOf } from "../../compile/registry.ts";
import { UnsupportedError } from "../../errors.ts";
import { type Node, producers, showNode, type Value } from "../../ir/graph.ts";
import type { Network, Parameter } from "../../ir/network.ts";
import { isOperator } from "../../ops/definition.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import { sampleFirst } from "../assembly/sample-shape.ts";
import { isClipped, type Symbolic } from "../assembly/symbolic.ts";
import type { FloatTail } from "../integer-network.ts";

/** The nodes of a network that conversion has left in float so far. */
export class TailNodes {
  readonly #followed: ReadonlySet<Node>;
  readonly #values = new Set<Value>();
  readonly #refused: Node[] = [];

  constructor({ graph }: Network) {
    this.#followed = followedByLayers(graph.nodes);
  }

  /** Whether a node may stay in float: it is no layer, and none follows. */
  mayHold(node: Node): boolean {
    return !isLayer(node) && !this.#followed.has(node) && node.outputs.every(isBatchFirst);
  }

  /** Whether a node reads what is in float already. */
  follows(node: Node): boolean {
    return node.inputs.some((value) => value !== undefined && this.#values.has(value));
  }

  /** Leaves a node in float. @param isRefused Whether it is where the tail begins. */
  add(node: Node, isRefused: boolean): void {
    for (const output of node.outputs) this.#values.add(output);
    if (isRefused) this.#refused.push(node);
  }

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  get refused(): readonly Node[] {
    return this.#refused;
  }
}

/** Nodes from which a layer can be reached. */
function followedByLayers(nodes: readonly Node[]): Set<Node> {
  const needed = new Set<Value>();
  const found = new Set<Node>();
  for (const node of nodes.toReversed()) {
    const isNeeded = node.outputs.some((output) => needed.has(output));
    if (isNeeded) found.add(node);
    if (!isNeeded && !isLayer(node)) continue;
    for (const input of node.inputs) if (input !== undefined) needed.add(input);
  }
  return found;
}

function isBatchFirst({ type: { shape } }: Value): boolean {
  return shape[0] === 1 || sampleFirst(shape).join() === shape.join();
}

/** Where a network is cut: the nodes that stay in float, and the values that they read from the integer network. */
interface Cut {
  readonly nodes: ReadonlySet<Node>;
  readonly boundaries: readonly Value[];
}

/**
 * Finds the cut. What only moves or limits elements before it stays in float as well, so that the integer network ends with sums of layers.
 */
function cutOf({ graph }: Network, values: ReadonlyMap<Value, Symbolic>, tail: TailNodes): Cut {
  const madeBy = producers(graph);
  const nodes = new Set<Node>();
  const boundaries = new Set<Value>();
  const visit = (value: Value): void => {
    const node = madeBy.get(value);
    const symbolic = values.get(value);
    const isInside =
      tail.has(value) || (node !== undefined && symbolic !== undefined && isMovedOrLimited(node, symbolic, tail));
    if (isInside && node !== undefined) {
      if (nodes.has(node)) return;
      nodes.add(node);
      for (const input of node.inputs) if (input !== undefined) visit(input);
    } else if (symbolic?.kind !== "constant" && symbolic?.kind !== "weight") boundaries.add(value);
  };
  for (const { value } of graph.outputs) visit(value);
  return { nodes, boundaries: [...boundaries] };
}

function isMovedOrLimited(node: Node, symbolic: Symbolic, tail: TailNodes): boolean {
  const { movement = false, passesCodes } = traitsOf(node);
  const isMovement = typeof movement === "function" ? movement(node) : movement;
  const isMoved = symbolic.kind === "rearranged" && (isMovement || passesCodes === "each");
  const isLimited = symbolic.kind === "affine" && isClipped(symbolic) && passesCodes === "each";
  return (isMoved || isLimited) && tail.mayHold(node) && !isFakeQuantize(node);
}

/** What the integer network gives: its real numbers, and the tail that reads them; no tail where all is integers. */
export interface NetworkEnd {
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  readonly tail: FloatTail | undefined;
}

/** Cuts a converted network. @throws UnsupportedError where the tail reads the data themselves. */
export function networkEnd(network: Network, values: ReadonlyMap<Value, Symbolic>, tail: TailNodes): NetworkEnd {
  const { graph } = network;
  const { nodes, boundaries } = cutOf(network, values, tail);
  const direct = new Map(graph.outputs.map(({ name, value }) => [value, name]));
  if (nodes.size === 0) return { outputs: graph.outputs, tail: undefined };
  const taken = new Set(graph.outputs.map(({ name }) => name));
  const named = (value: Value): string => {
    const own = direct.get(value);
    if (own !== undefined) return own;
    let name = value.name;
    for (let n = 2; taken.has(name); n++) name = `${value.name}_${n}`;
    taken.add(name);
    return name;
  };
  const only = boundaries.length === 1 && graph.outputs.length === 1 && tail.refused.length === 0;
  const outputs = boundaries.map((value) => ({
    name: only ? (graph.outputs[0]?.name ?? named(value)) : named(value),
    value,
  }));
  for (const { value } of outputs) {
    if (values.get(value)?.kind !== "data") continue;
    throw new UnsupportedError("the network's data are read behind its last layer, in float", {
      where: `input "${value.name}"`,
      remedy: "Use the data after the network, or let layers read them.",
    });
  }
  return {
    outputs,
    tail: {
      network: tailNetwork(network, nodes, outputs),
      refused: tail.refused.map(({ op, name }) => ({ op, name })),
      results: graph.outputs.map(({ name, value }) => ({
        name,
        isDirect: boundaries.includes(value),
      })),
    },
  };
}

/** The nodes of the tail as a network that reads what the integer network gives. */
function tailNetwork(
  { name, graph, parameters }: Network,
  nodes: ReadonlySet<Node>,
  inputs: NetworkEnd["outputs"],
): Network {
  const builder = newBuilder(`${name} tail`);
  const map: ValueMap = new Map();
  for (const { name: input, value } of inputs) map.set(value, builder.input(input, value.type));
  const [first] = inputs;
  const reference = first === undefined ? undefined : mapped(map, first.value);
  const kept = graph.nodes.filter((node) => nodes.has(node));
  const used = new Set(kept.flatMap((node) => node.inputs));
  const read: Parameter[] = [];
  for (const input of graph.inputs) {
    const parameter = parameters.find((each) => each.name === input.name);
    if (!used.has(input) || map.has(input)) continue;
    if (parameter === undefined) {
      const [reader] = kept.filter((node) => node.inputs.includes(input));
      // The size of the batch is the same everywhere.
      const isSize = kept.every((node) => !node.inputs.includes(input) || isOperator(batchValueOperator, node));
      if (!isSize || reference === undefined) throw readsData(reader);
      map.set(input, reference);
    } else {
      map.set(input, builder.input(input.name, input.type));
      read.push(parameter);
    }
  }
  const constants = new Map([...graph.constants].filter(([value]) => used.has(value)));
  copyNodes({ ...graph, nodes: kept, constants }, builder, map);
  for (const output of graph.outputs) {
    const value = map.get(output.value);
    if (value !== undefined && !inputs.some((input) => input.value === output.value))
      builder.output(output.name, value);
  }
  return { name: `${name} tail`, graph: builder.finish(), parameters: read };
}

function readsData(node: Node | undefined): UnsupportedError {
  return new UnsupportedError("it reads the network's data behind the last layer, in float", {
    ...(node === undefined ? {} : { where: showNode(node) }),
    remedy: "Use the data after the network, or let layers read them.",
  });
}
