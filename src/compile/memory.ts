/** Computes the memory of a graph's values while it runs, node by node, in their order. */
import type { Graph, Value } from "../ir/graph.ts";
import { elementCount, type TensorType } from "../ir/types.ts";
import { traitsOf } from "./registry.ts";

const bitsOf: Readonly<Record<string, number>> = {
  float64: 64,
  int64: 64,
  uint64: 64,
  float16: 16,
  bfloat16: 16,
  int16: 16,
  uint16: 16,
  int8: 8,
  uint8: 8,
  bool: 8,
  int4: 4,
  uint4: 4,
  int2: 2,
  uint2: 2,
};

/** Bytes of a tensor of this type. */
export function bytesOf({ dtype, shape }: TensorType): number {
  return Math.ceil((elementCount(shape) * (bitsOf[dtype] ?? 32)) / 8);
}

/** The value whose memory each view shows. */
export function ownersOf(graph: Graph): ReadonlyMap<Value, Value> {
  const owners = new Map<Value, Value>();
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (traitsOf(node).view === true && input !== undefined && output !== undefined)
      owners.set(output, owners.get(input) ?? input);
  }
  return owners;
}

/**
 * The most bytes that the values of a lowered graph take at once, when each is freed after its last consumer. Inputs,
 * outputs and constants stay in memory all the time. What an operator needs for itself, and what is lost between the pieces of
 * the engine's arena, comes on top.
 *
 * @param inPlace Outputs that take the memory of an input.
 */
export function peakBytes(graph: Graph, inPlace: ReadonlySet<Value> = new Set()): number {
  const owners = ownersOf(graph);
  const ownerOf = (value: Value): Value => owners.get(value) ?? value;
  const held = new Set<Value>([...graph.inputs, ...graph.outputs.map(({ value }) => ownerOf(value))]);
  for (const value of inPlace) held.delete(value);
  for (const value of graph.constants.keys()) held.add(value);
  const lastConsumer = new Map<Value, number>();
  graph.nodes.forEach(({ inputs, outputs }, index) => {
    for (const value of [...inputs, ...outputs]) if (value !== undefined) lastConsumer.set(ownerOf(value), index);
  });
  const dying = new Map<number, Value[]>();
  for (const [value, index] of lastConsumer) dying.set(index, [...(dying.get(index) ?? []), value]);
  const isCounted = (value: Value) => ownerOf(value) === value && !held.has(value) && !inPlace.has(value);
  let live = [...held].reduce((sum, { type }) => sum + bytesOf(type), 0);
  let peak = live;
  graph.nodes.forEach(({ outputs }, index) => {
    for (const value of outputs) if (isCounted(value)) live += bytesOf(value.type);
    peak = Math.max(peak, live);
    for (const value of dying.get(index) ?? []) if (isCounted(value)) live -= bytesOf(value.type);
  });
  return peak;
}
