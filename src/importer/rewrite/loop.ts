/**
 * Loops that run a known number of times, as converters write recurrent layers: written out, once for each time.
 *
 * What does not change from one time to the next is read once, in front: it holds the weights, which all times share.
 */

import { GraphError, UnsupportedError } from "../../errors.ts";
import { int64Tensor, toNumbers } from "../../ir/tensor.ts";
import type { FileBody, FileNode } from "../../onnx/read/file.ts";
import { BatchDependence, int64Slot } from "../../ops/rewrite/context.ts";
import { type Slot, tensorOf, typeOf } from "../../ops/rewrite/slots.ts";
import type { Emitter } from "../emitter.ts";

/** More nodes than this of all loops together are a mistake, or train too slowly to be of use. */
export const mostLoopNodes = 20_000;

/** A scope of the loop's names, in which graphs are read. */
export interface LoopScope {
  define(name: string, slot: Slot): void;
  /** The number of nodes that all loops may still write. */
  readonly budget: { left: number };
  /** Reads nodes whose outputs stay known in the scope. */
  read(graph: FileBody): void;
  /** Reads nodes with names of their own, and gives the outputs of the graph. */
  readOnce(graph: FileBody, inputs: ReadonlyMap<string, Slot>): readonly Slot[];
}

/**
 * The outputs of a Loop (https://onnx.ai/onnx/operators/onnx__Loop.html): the last states, then what each time gave, stacked.
 *
 * @throws UnsupportedError where the number of times depends on the data or is too large, GraphError for a damaged body.
 */
export function unrollLoop(
  e: Emitter,
  node: FileNode,
  [times, condition, ...initial]: readonly (Slot | undefined)[],
  scope: LoopScope,
): Slot[] {
  const body = bodyOf(node);
  const count = initial.length;
  const names = body.inputNames;
  if (names.length !== count + 2 || body.outputs.length <= count) {
    throw new GraphError(`the body of this Loop takes ${names.length} values and gives ${body.outputs.length}`, {
      where: node.where,
      remedy: "The file is damaged: export the model again.",
    });
  }
  let states = initial.map((slot) => {
    if (slot !== undefined) return slot;
    throw new GraphError("a state of this Loop has no initial value", { where: node.where });
  });
  const isFixed = (index: number) => body.outputs[index + 1] === names[index + 2];
  states.forEach((state, i) => {
    if (isFixed(i)) scope.define(names[i + 2] ?? "", state);
  });
  // Were it known, what the first time makes of the weights would be computed, and be weights of its own.
  states = states.map((state, i) => (isFixed(i) || typeOf(state).dtype !== "float32" ? state : e.fixed(state)));
  const moving = new Set(names.filter((_, i) => i < 2 || !isFixed(i - 2)));
  const { fixed, varying } = apart(body.nodes, moving);
  const limit = times === undefined ? Number.POSITIVE_INFINITY : known(node, times);
  // A loop inside of another one reads what does not change once for each time of the outer one.
  scope.budget.left -= 1 + fixed.length;
  if (scope.budget.left < 0) throw tooLong(node, limit);
  scope.read({ ...body, nodes: fixed, outputs: [] });
  const loop: FileBody = { ...body, constants: new Map(), nodes: varying };
  // A time that adds no node takes time too.
  const cost = Math.max(1, varying.length);
  const stacks = body.outputs.slice(count + 1).map((): Slot[] => []);
  // Where the body does not end it itself, the length is known before anything is written.
  if (body.outputs[0] === names[1] && limit * cost > scope.budget.left) throw tooLong(node, limit);
  let continues = condition === undefined || known(node, condition) !== 0;
  for (let time = 0; time < limit && continues; time++) {
    scope.budget.left -= cost;
    if (scope.budget.left < 0) throw tooLong(node, limit);
    const inputs = new Map<string, Slot>();
    [e.constant(int64Tensor([time], [])), condition ?? e.constant(trueTensor), ...states].forEach((slot, i) => {
      inputs.set(names[i] ?? "", slot);
    });
    const [next, ...results] = scope.readOnce(loop, inputs);
    states = results.slice(0, count);
    results.slice(count).forEach((slot, i) => {
      stacks[i]?.push(e.one("Unsqueeze", [slot, int64Slot(e, [0])]));
    });
    continues = known(node, next) !== 0;
  }
  return [...states, ...stacks.map((stack) => stacked(e, node, stack))];
}

const trueTensor = { dtype: "bool", shape: [], data: Uint8Array.of(1) } as const;

function bodyOf(node: FileNode): FileBody {
  const body = node.attributes.get("body");
  if (typeof body === "object" && "subgraph" in body) return body.subgraph;
  throw new GraphError("the Loop has no body", { where: node.where });
}

/** The nodes that read something that moves, and the others. */
function apart(nodes: readonly FileNode[], moving: ReadonlySet<string>): Record<"fixed" | "varying", FileNode[]> {
  const varies = new Set(moving);
  const [fixed, varying]: [FileNode[], FileNode[]] = [[], []];
  for (const node of nodes) {
    // A graph inside may read anything by name.
    const hasGraph = [...node.attributes.values()].some((value) => typeof value === "object" && "subgraph" in value);
    if (hasGraph || node.inputs.some((name) => varies.has(name))) {
      varying.push(node);
      for (const output of node.outputs) varies.add(output);
    } else fixed.push(node);
  }
  return { fixed, varying };
}

function stacked(e: Emitter, node: FileNode, slices: readonly Slot[]): Slot {
  const [first] = slices;
  if (first === undefined) {
    throw new UnsupportedError("this Loop never runs, so the shape of its outputs is unknown", {
      where: node.where,
      remedy: "Remove it before the export.",
    });
  }
  return slices.length === 1 ? first : e.one("Concat", slices, { axis: 0 });
}

function known(node: FileNode, slot: Slot | undefined): number {
  if (slot?.kind === "batch") {
    throw new BatchDependence("the number of iterations of this Loop depends on the size of the batch", {
      where: node.where,
    });
  }
  const value = toNumbers(tensorOf(slot) ?? int64Tensor([]))[0];
  if (value !== undefined) return value;
  throw new UnsupportedError("the number of iterations of this Loop depends on the data", {
    where: node.where,
    remedy:
      "Training needs one fixed graph: export the model with fixed lengths, and recurrent layers unrolled (unroll=True).",
  });
}

function tooLong(node: FileNode, times: number): UnsupportedError {
  const often = Number.isFinite(times) ? `up to ${times} times` : "without a limit";
  return new UnsupportedError(`this Loop runs ${often}, which is over ${mostLoopNodes} nodes written out`, {
    where: node.where,
    remedy: "Export the model with shorter sequences, or with an LSTM or GRU operator in place of the loop.",
  });
}
