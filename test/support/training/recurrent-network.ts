/** Small recurrent networks for tests, as files of an exporter: one layer over time and a dense head. */

import fc from "fast-check";
import { type ImportedNetwork, importOnnx } from "../../../src/importer/import.ts";
import { int64Tensor } from "../../../src/ir/tensor.ts";
import { type NodeText, onnxModel } from "../onnx/model.ts";
import { randomTensor, seeded } from "../random.ts";

export interface RecurrentDescription {
  readonly op: "LSTM" | "GRU" | "RNN";
  readonly steps?: number;
  readonly features?: number;
  readonly hidden?: number;
  readonly direction?: "forward" | "reverse" | "bidirectional";
  /** Of a GRU: whether the reset gate comes after the product with the state, as in torch. Default true. */
  readonly resetsAfter?: boolean;
  /** Whether the head reads all states, and not only the last ones. */
  readonly readsSequence?: boolean;
  /** Whether the state before the first step is a parameter. Default false: it is zero. */
  readonly learnsState?: boolean;
  readonly seed?: number;
}

export const recurrentDescriptions: fc.Arbitrary<RecurrentDescription> = fc.record({
  op: fc.constantFrom("LSTM", "LSTM", "GRU", "GRU", "RNN"),
  steps: fc.integer({ min: 1, max: 12 }),
  features: fc.integer({ min: 1, max: 5 }),
  hidden: fc.integer({ min: 1, max: 5 }),
  direction: fc.constantFrom("forward", "reverse", "bidirectional"),
  resetsAfter: fc.boolean(),
  readsSequence: fc.boolean(),
  learnsState: fc.boolean(),
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
});

const gatesOf = { LSTM: 4, GRU: 3, RNN: 1 } as const;

/** A stored state for every sample. */
const initialState: readonly NodeText[] = [
  ["Shape", ["x"], ["n"], { end: 1 }],
  ["Concat", ["ends", "n", "width"], ["sizes"], { axis: 0 }],
  ["Expand", ["learned", "sizes"], ["h0"]],
];

/** The bytes of a model [N, steps, features] → [N, 3]. */
export function recurrentModel(description: RecurrentDescription): Uint8Array {
  const { op, steps = 5, features = 4, hidden = 3, direction = "forward", seed = 1 } = description;
  const random = seeded(seed);
  const tensor = (...shape: number[]) => randomTensor(random, shape, { low: 0.02, high: 0.8, signed: true });
  const directions = direction === "bidirectional" ? 2 : 1;
  const rows = gatesOf[op] * hidden;
  const reads = description.readsSequence === true ? steps * directions * hidden : directions * hidden;
  const attributes = {
    hidden_size: hidden,
    direction,
    ...(op === "GRU" ? { linear_before_reset: description.resetsAfter === false ? 0 : 1 } : {}),
  };
  return onnxModel({
    inputs: { x: ["N", steps, features] },
    outputs: ["y"],
    nodes: [
      ["Transpose", ["x"], ["t"], { perm: [1, 0, 2] }],
      ...(description.learnsState === true ? initialState : []),
      [op, ["t", "w", "r", "b", ...(description.learnsState === true ? ["", "h0"] : [])], ["s", "h"], attributes],
      [
        "Transpose",
        [description.readsSequence === true ? "s" : "h"],
        ["front"],
        {
          perm: description.readsSequence === true ? [2, 0, 1, 3] : [1, 0, 2],
        },
      ],
      ["Reshape", ["front", "flat"], ["f"]],
      ["Gemm", ["f", "head", "bias"], ["y"], { transB: 1 }],
    ],
    initializers: {
      w: tensor(directions, rows, features),
      r: tensor(directions, rows, hidden),
      b: tensor(directions, 2 * rows),
      flat: int64Tensor([0, -1]),
      ...(description.learnsState === true
        ? { learned: tensor(directions, 1, hidden), ends: int64Tensor([directions]), width: int64Tensor([hidden]) }
        : {}),
      head: tensor(3, reads),
      bias: tensor(3),
    },
  });
}

/** The network of {@link recurrentModel}. */
export function recurrentNetwork(description: RecurrentDescription): ImportedNetwork {
  return importOnnx(recurrentModel(description));
}
