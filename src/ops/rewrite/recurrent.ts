/**
 * LSTM, GRU and RNN (https://onnx.ai/onnx/operators/onnx__LSTM.html) written out, once for each time step.
 *
 * What they are made of has gradients, quantizers and integers, so that none of them needs to know of time. All steps share
 * the weights, and nodes of one purpose share a name and a layer ({@link RewriteContext.repeated}), by which a quantizer
 * is one for all steps: bits and sites do not grow with the sequence. The input of each step has a product of its own, not
 * one for the whole sequence: integers then add it to that of the state in one accumulator, without a rounding between.
 */

import { GraphError } from "../../errors.ts";
import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import type { Attributes } from "../../ir/graph.ts";
import { type Dimension, isSymbolic } from "../../ir/size.ts";
import { float32Tensor, toNumbers } from "../../ir/tensor.ts";
import { int64Slot, type Rewrite, type RewriteContext } from "./context.ts";
import { type AtStep, cellOf, type Direction, type RecurrentCell, type States } from "./recurrent-cells.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "./slots.ts";

/** Longer sequences make a graph of too many nodes to be trained in reasonable time. */
export const mostSteps = 1000;

/** Functions that cells may have in place of their own: those without parameters that conversion knows too. */
const functions: readonly string[] = ["Sigmoid", "Tanh", "Relu"];

/** A cell's functions where a node names none, in the order of ONNX. */
const usual: Readonly<Record<string, readonly string[]>> = {
  RNN: ["Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
};

/** What of a recurrent node decides whether it can be written out. */
export interface RecurrentCall {
  readonly op: string;
  readonly attributes: Attributes;
  /** Undefined for an input that was left out. */
  readonly inputs: readonly (object | undefined)[];
  /** The number of time steps. */
  readonly length: Dimension;
}

/** Returns why a node cannot be written out over time; undefined where it can be. */
export function obstacleOverTime({ op, attributes, inputs, length }: RecurrentCall): string | undefined {
  const wanted = functionsOf(op, attributes);
  const unknown = wanted.find((name) => !functions.includes(name));
  if (unknown !== undefined) return `its function ${unknown} is not one of ${functions.join(", ")}`;
  if (attributes.activation_alpha !== undefined || attributes.activation_beta !== undefined)
    return "its functions have parameters";
  if (attributes.clip !== undefined) return "it clips what its functions read";
  if (attributes.input_forget === 1) return "its input and forget gates are coupled";
  if (inputs[4] !== undefined) return "its sequences have lengths of their own";
  if (inputs[7] !== undefined) return "it has peepholes";
  if (typeof length !== "number") return "the length of its sequences depends on the batch";
  return length > mostSteps ? `its sequences have ${length} steps, over ${mostSteps}` : undefined;
}

function functionsOf(op: string, { activations }: Attributes): readonly string[] {
  const given = typeof activations === "object" && "strings" in activations ? activations.strings : [];
  return given.length === 0 ? (usual[op] ?? []) : given;
}

/** The node written out over time, or the node itself where it cannot be: then it is evaluated but not trained. */
export const unrolled: Rewrite = (e, given) => {
  const node = withoutWholeLengths(given);
  const [x, w, r, b, , h0, c0] = node.inputs;
  const { op, attributes } = node;
  if (x === undefined || w === undefined || r === undefined) return node;
  const { shape } = typeOf(x);
  const batchFirst = intAttribute(node, "layout", 0) === 1;
  const [batch = 1, length = 1] = batchFirst ? shape : [shape[1], shape[0]];
  const hidden = intAttribute(node, "hidden_size", Number(typeOf(r).shape[2] ?? 0));
  if (shape.length !== 3 || hidden < 1 || !fits(node, hidden)) return node;
  if (
    obstacleOverTime({ op, attributes, inputs: node.inputs, length }) !== undefined ||
    isSymbolic(length) ||
    length < 1
  )
    return node;
  const kind = stringAttribute(node, "direction", "forward");
  const names = kind === "bidirectional" ? ["forward", "reverse"] : [kind];
  const given3 = batchFirst ? x : e.transpose(x, [1, 0, 2]);
  const steps = stepsOf(e, given3, length);
  const functionNames = functionsOf(op, attributes);
  const each = functionNames.length / (functionNames.length > (usual[op]?.length ?? 0) ? names.length : 1);
  const results = names.map((name, d) => {
    const own = functionNames.slice(functionNames.length > each ? d * each : 0).slice(0, each);
    const direction = directionOf(e, { w, r, b }, { d, count: names.length, hidden, functions: own });
    const initial = (slot: Slot | undefined) =>
      slot === undefined || e.isZero(slot) ? undefined : stateOf(e, slot, { d, count: names.length, batchFirst });
    // The bias of a GRU's candidate goes through the reset gate, also where there is no state yet.
    const needsState = op === "GRU" && b !== undefined && intAttribute(node, "linear_before_reset", 0) === 1;
    const zeros = () =>
      e.expand(e.constant(float32Tensor([1, hidden], new Array<number>(hidden).fill(0))), [batch, hidden]);
    const start = { hidden: initial(h0) ?? (needsState ? zeros() : undefined), cell: initial(c0) };
    return overTime(e, cellOf(op, direction, node), {
      steps,
      start,
      isReverse: name === "reverse",
      name,
      isOnly: names.length === 1,
    });
  });
  return outputsOf(e, results, { batch, length, hidden, batchFirst, outputCount: node.outputCount });
};

/** Lengths that are those of the whole sequence say nothing. */
function withoutWholeLengths(node: SourceNode): SourceNode {
  const [x, , , , lengths] = node.inputs;
  const tensor = tensorOf(lengths);
  if (x === undefined || tensor === undefined) return node;
  const whole = typeOf(x).shape[intAttribute(node, "layout", 0) === 1 ? 1 : 0];
  return toNumbers(tensor).every((length) => length === whole)
    ? { ...node, inputs: node.inputs.with(4, undefined) }
    : node;
}

/** Whether the weights have the shapes that the node states; the type rule refuses others with an error. */
function fits(node: SourceNode, hidden: number): boolean {
  const [x, w, r] = node.inputs;
  const gateCount = { LSTM: 4, GRU: 3 }[node.op] ?? 1;
  const directions = stringAttribute(node, "direction", "forward") === "bidirectional" ? 2 : 1;
  const features = x === undefined ? undefined : typeOf(x).shape[2];
  const is = (slot: Slot | undefined, columns: Dimension | undefined) =>
    slot !== undefined && typeOf(slot).shape.join() === [directions, gateCount * hidden, columns].join();
  return is(w, features) && is(r, hidden);
}

/** x [batch, length, features] as [batch, features] for each time step. */
function stepsOf(e: RewriteContext, x: Slot, length: number): readonly Slot[] {
  const [batch = 1, , features = 1] = typeOf(x).shape;
  if (length === 1) return [e.reshape(x, [batch, features])];
  const parts = e.emit(
    "Split",
    [x, int64Slot(e, new Array<number>(length).fill(1))],
    { axis: 1 },
    { outputCount: length },
  );
  return parts.map((part) => e.reshape(part, [batch, features]));
}

/** What is made of a stored tensor, so that two calls of one module share it. */
const partsOf = new WeakMap<Slot, Map<string, Slot>>();

function part(of: Slot, key: string, make: () => Slot): Slot {
  const known = partsOf.get(of) ?? new Map<string, Slot>();
  partsOf.set(of, known);
  const slot = known.get(key) ?? make();
  known.set(key, slot);
  return slot;
}

/** A name that an exporter gave to the whole is none of a part. */
function unnamed(slot: Slot): Slot {
  return slot.kind === "constant" ? { ...slot, name: "" } : slot;
}

function directionOf(
  e: RewriteContext,
  { w, r, b }: { readonly w: Slot; readonly r: Slot; readonly b: Slot | undefined },
  {
    d,
    count,
    hidden,
    functions: own,
  }: { readonly d: number; readonly count: number; readonly hidden: number; readonly functions: readonly string[] },
): Direction {
  const rows = (slot: Slot, from: number, to: number): Slot =>
    part(slot, `${d}:${from}-${to}`, () => {
      const [, all = 0, ...columns] = typeOf(slot).shape;
      const matrix =
        count === 1 ? slot : e.one("Slice", [slot, int64Slot(e, [d]), int64Slot(e, [d + 1]), int64Slot(e, [0])]);
      const flat = e.reshape(matrix, [all, ...columns]);
      const [start, end] = [from * hidden, to * hidden];
      return unnamed(
        start === 0 && end === all
          ? flat
          : e.one("Slice", [flat, int64Slot(e, [start]), int64Slot(e, [end]), int64Slot(e, [0])]),
      );
    });
  const gateCount = Number(typeOf(w).shape[1] ?? 0) / hidden;
  return {
    e,
    hidden,
    functions: own,
    weights: (from, to) => ({ input: rows(w, from, to), state: rows(r, from, to) }),
    bias: (from, to, of) => {
      if (b === undefined) return undefined;
      const input = rows(b, from, to);
      const state = rows(b, gateCount + from, gateCount + to);
      if (of !== "both") return of === "input" ? input : state;
      return part(b, `${d}:${from}-${to} both`, () => unnamed(e.one("Add", [input, state])));
    },
  };
}

/** An initial state [directions, batch, hidden] of one direction: [batch, hidden]. */
function stateOf(
  e: RewriteContext,
  slot: Slot,
  { d, count, batchFirst }: { readonly d: number; readonly count: number; readonly batchFirst: boolean },
): Slot {
  const [batch = 1, , hidden = 1] = typeOf(batchFirst ? slot : e.transpose(slot, [1, 0, 2])).shape;
  const first = batchFirst ? slot : e.transpose(slot, [1, 0, 2]);
  const own =
    count === 1 ? first : e.one("Slice", [first, int64Slot(e, [d]), int64Slot(e, [d + 1]), int64Slot(e, [1])]);
  return e.reshape(own, [batch, hidden]);
}

/** The states of one direction at each time step, in the order of time, and the last ones computed. */
interface OverTime {
  readonly sequence: readonly Slot[];
  readonly last: { readonly hidden: Slot; readonly cell?: Slot };
}

function overTime(
  e: RewriteContext,
  cell: RecurrentCell,
  {
    steps,
    start,
    isReverse,
    name,
    isOnly,
  }: {
    readonly steps: readonly Slot[];
    readonly start: States;
    readonly isReverse: boolean;
    readonly name: string;
    readonly isOnly: boolean;
  },
): OverTime {
  const order = isReverse ? steps.toReversed() : steps;
  const sequence: Slot[] = [];
  let states: States = start;
  let last: OverTime["last"] | undefined;
  for (const [step, x] of order.entries()) {
    const at: AtStep = (purpose, op, inputs, attributes, outputCount) =>
      e.repeated({ part: isOnly ? purpose : `${name}/${purpose}`, step }, op, inputs, attributes, outputCount);
    last = cell(at, x, states);
    states = last;
    sequence.push(last.hidden);
  }
  if (last === undefined) throw new GraphError("a sequence has no time step");
  return { sequence: isReverse ? sequence.toReversed() : sequence, last };
}

function outputsOf(
  e: RewriteContext,
  results: readonly OverTime[],
  {
    batch,
    length,
    hidden,
    batchFirst,
    outputCount,
  }: {
    readonly batch: Dimension;
    readonly length: number;
    readonly hidden: number;
    readonly batchFirst: boolean;
    readonly outputCount: number;
  },
): readonly (Slot | undefined)[] {
  const joined = (slots: readonly Slot[], axis: number): Slot =>
    slots.length === 1 && slots[0] !== undefined ? slots[0] : e.one("Concat", slots, { axis });
  const rows = (slots: readonly Slot[]): Slot =>
    joined(
      slots.map((slot) => e.reshape(slot, [batch, 1, hidden])),
      1,
    );
  const directions = results.length;
  const sequence = () => {
    const all = joined(
      results.map(({ sequence: slots }) => rows(slots)),
      2,
    );
    const apart = e.reshape(all, [batch, length, directions, hidden]);
    return batchFirst ? apart : e.transpose(apart, [1, 2, 0, 3]);
  };
  const last = (slots: readonly Slot[]) => {
    const all = rows(slots);
    return batchFirst ? all : e.transpose(all, [1, 0, 2]);
  };
  const cells = results.flatMap(({ last: { cell } }) => cell ?? []);
  const made = [sequence, () => last(results.map(({ last: { hidden: slot } }) => slot)), () => last(cells)];
  return made.slice(0, outputCount).map((make) => make());
}
