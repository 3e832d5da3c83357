/** The cells of LSTM, GRU and RNN at one time step. */

import { GraphError } from "../../errors.ts";
import { intAttribute } from "../../ir/attributes.ts";
import type { Attributes } from "../../ir/graph.ts";
import { float32Scalar } from "../../ir/tensor.ts";
import { int64Slot, type RewriteContext } from "./context.ts";
import type { Slot, SourceNode } from "./slots.ts";

/** The nodes of one direction, which are named alike at every time step. */
export type AtStep = (
  part: string,
  op: string,
  inputs: readonly (Slot | undefined)[],
  attributes?: Attributes,
  outputCount?: number,
) => readonly Slot[];

/** The states between two time steps; undefined for zeros. */
export interface States {
  readonly hidden: Slot | undefined;
  readonly cell?: Slot | undefined;
}

/** Computes the states after a time step. x is [batch, features]. */
export type RecurrentCell = (at: AtStep, x: Slot, states: States) => { readonly hidden: Slot; readonly cell?: Slot };

/** The parameters of one direction. */
export interface Direction {
  readonly e: RewriteContext;
  readonly hidden: number;
  readonly functions: readonly string[];
  /** The rows of some gates of the input's and of the state's weights: [gates·hidden, …]. */
  readonly weights: (from: number, to: number) => { readonly input: Slot; readonly state: Slot };
  /** The biases of some gates: of both products together, or of one. Undefined where there are none. */
  readonly bias: (from: number, to: number, of: "both" | "input" | "state") => Slot | undefined;
}

const transposedWeight = { transB: 1 };

/** The inputs of a product with a weight, and a bias where there is one. */
function product(x: Slot, weight: Slot, bias: Slot | undefined): readonly Slot[] {
  return bias === undefined ? [x, weight] : [x, weight, bias];
}

function one([slot]: readonly Slot[]): Slot {
  if (slot === undefined) throw new GraphError("a node of a recurrent layer has no output");
  return slot;
}

/** h′ = f(W·x + R·h + b) */
function simpleCell({ functions: [f = "Tanh"], weights, bias }: Direction): RecurrentCell {
  const { input, state } = weights(0, 1);
  const both = bias(0, 1, "both");
  return (at, x, { hidden }) => ({
    hidden: one(at("state", f, [gates(at, "", { x, input, bias: both, hidden, state })])),
  });
}

/** What the gates read: W·x + b, and R·h where there is a state. */
function gates(
  at: AtStep,
  prefix: string,
  {
    x,
    input,
    bias,
    hidden,
    state,
  }: Readonly<Record<"x" | "input" | "state", Slot>> & Partial<Record<"bias" | "hidden", Slot | undefined>>,
): Slot {
  const own = one(at(`${prefix}input`, "Gemm", product(x, input, bias), transposedWeight));
  if (hidden === undefined) return own;
  return one(
    at(`${prefix}sum`, "Add", [own, one(at(`${prefix}recurrent`, "Gemm", [hidden, state], transposedWeight))]),
  );
}

/** c′ = f∘c + i∘g, h′ = o∘tanh(c′); the gates lie as i, o, f, g. */
function lstmCell({ e, hidden: size, functions: [f = "", g = "", h = ""], weights, bias }: Direction): RecurrentCell {
  const { input, state } = weights(0, 4);
  const both = bias(0, 4, "both");
  return (at, x, { hidden, cell }) => {
    const sums = gates(at, "", { x, input, bias: both, hidden, state });
    const [i, o, forget, candidate] = at(
      "gates",
      "Split",
      [sums, int64Slot(e, new Array<number>(4).fill(size))],
      { axis: 1 },
      4,
    );
    const inputGate = one(at("input_gate", f, [i]));
    const outputGate = one(at("output_gate", f, [o]));
    const added = one(at("added", "Mul", [inputGate, one(at("candidate", g, [candidate]))]));
    const next =
      cell === undefined
        ? added
        : one(at("cell", "Add", [one(at("kept", "Mul", [one(at("forget_gate", f, [forget])), cell])), added]));
    return { cell: next, hidden: one(at("state", "Mul", [outputGate, one(at("cell_output", h, [next]))])) };
  };
}

/** h′ = (1 − z)∘n + z∘h, with n = tanh(W·x + r∘(R·h + b)) or tanh(W·x + R·(r∘h) + b); the gates lie as z, r, n. */
function gruCell(direction: Direction, resetsAfter: boolean): RecurrentCell {
  const {
    e,
    hidden: size,
    functions: [f = "", g = ""],
    weights,
    bias,
  } = direction;
  const [both, own] = [weights(0, 2), weights(2, 3)];
  const gateBias = bias(0, 2, "both");
  const candidateBias = bias(2, 3, resetsAfter ? "input" : "both");
  const stateBias = resetsAfter ? bias(2, 3, "state") : undefined;
  return (at, x, { hidden }) => {
    const sums = gates(at, "gates_", { x, ...both, bias: gateBias, hidden });
    const [z, r] = at("gates", "Split", [sums, int64Slot(e, [size, size])], { axis: 1 }, 2);
    const update = one(at("update_gate", f, [z]));
    const negated = one(at("update_negated", "Mul", [update, e.constant(float32Scalar(-1))]));
    const fresh = one(at("update_rest", "Add", [negated, e.constant(float32Scalar(1))]));
    const input = one(at("candidate_input", "Gemm", product(x, own.input, candidateBias), transposedWeight));
    const reset = (state: Slot): Slot => {
      const gate = one(at("reset_gate", f, [r]));
      const multiplied = (given: Slot) =>
        one(at("candidate_recurrent", "Gemm", product(given, own.state, stateBias), transposedWeight));
      const scaled = (given: Slot) => one(at("reset", "Mul", [gate, given]));
      return resetsAfter ? scaled(multiplied(state)) : multiplied(scaled(state));
    };
    const read = hidden === undefined ? input : one(at("candidate_sum", "Add", [input, reset(hidden)]));
    const added = one(at("added", "Mul", [fresh, one(at("candidate", g, [read]))]));
    if (hidden === undefined) return { hidden: added };
    return { hidden: one(at("state", "Add", [one(at("kept", "Mul", [update, hidden])), added])) };
  };
}

/** The cell of an operator. */
export function cellOf(op: string, direction: Direction, node: SourceNode): RecurrentCell {
  if (op === "LSTM") return lstmCell(direction);
  return op === "GRU" ? gruCell(direction, intAttribute(node, "linear_before_reset", 0) === 1) : simpleCell(direction);
}
