/** Values on integers that depend on the batch: for each batch they are the operator's value on constants. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { operators } from "../../../src/compile/registry.ts";
import { symbolicResults } from "../../../src/importer/batch/symbolic.ts";
import type { Attributes } from "../../../src/ir/graph.ts";
import { type Dimension, type Dimensions, plus, sampledBatches, shapeAt, times } from "../../../src/ir/size.ts";
import { int64Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import type { DType } from "../../../src/ir/types.ts";
import { dtypeToOnnx } from "../../../src/onnx/wire/proto.ts";
import { fromNumbers } from "../../../src/ops/build/fold/data.ts";
import { evaluateNode } from "../../../src/ops/evaluate.ts";
import type { BatchSlot, ConstantSlot } from "../../../src/ops/rewrite/slots.ts";

type Known = ConstantSlot | BatchSlot;

function batchSlot(
  elements: Dimensions,
  dtype: DType = "int64",
  shape: readonly number[] = [elements.length],
): BatchSlot {
  return { kind: "batch", type: { dtype, shape }, source: { elements } };
}

function constantSlot(...values: readonly number[]): ConstantSlot {
  return { kind: "constant", tensor: int64Tensor(values), name: "", stored: false };
}

function tensorFor(slot: Known, batch: number) {
  if (slot.kind === "constant") return slot.tensor;
  if (!("elements" in slot.source)) throw new Error("the slot has no elements");
  return fromNumbers(
    { dtype: slot.type.dtype, shape: slot.type.shape.map(Number) },
    shapeAt(slot.source.elements, batch),
  );
}

/** Expects the symbolic value to be that on constants for every batch; returns whether there is one. */
function agrees(op: string, inputs: readonly Known[], attributes: Attributes = {}, outputCount = 1): boolean {
  const call = { op, name: op, attributes, outputCount };
  const results = symbolicResults({ ...call, inputs });
  if (results === undefined) return false;
  for (const batch of sampledBatches) {
    const expected = evaluateNode(
      operators,
      { ...call, domain: "" },
      inputs.map((slot) => tensorFor(slot, batch)),
    );
    expect(results.map(({ dtype, shape, elements }) => ({ dtype, shape, numbers: shapeAt(elements, batch) }))).toEqual(
      expected?.map((tensor) => ({ dtype: tensor.dtype, shape: tensor.shape, numbers: toNumbers(tensor) })),
    );
  }
  return true;
}

interface Case {
  readonly op: string;
  readonly inputs: readonly Known[];
  readonly attributes?: Attributes;
  readonly outputCount?: number;
}

/** c₀ + c₁·batch, and numbers. */
const sizes: fc.Arbitrary<Dimension> = fc
  .tuple(fc.integer({ min: -4, max: 4 }), fc.constantFrom(0, 0, 1, 2, -1))
  .map(([constant, slope]) => plus(constant, times(slope, { coefficients: [0, 1] })));
const truths: fc.Arbitrary<Dimension> = fc.constantFrom(0, 1);

const byElement = [...operators.values()].flatMap((definition) =>
  definition.symbolic?.kind === "element" ? [definition.op] : [],
);
/** Operators whose inputs are truth values, and how many inputs one has. */
const logic = new Set(["And", "Or", "Not"]);
const counts: Readonly<Record<string, number>> = { Neg: 1, Not: 1, Where: 3 };

describe("the value on integers that depend on the batch", () => {
  it.each(byElement)("of %s is its value on constants, for each batch", (op) => {
    let known = 0;
    const operands = Array.from({ length: counts[op] ?? 2 }, (_, index) => {
      const isTruth = logic.has(op) || (op === "Where" && index === 0);
      const elements = fc.array(isTruth ? truths : sizes, { minLength: 3, maxLength: 3 });
      return elements.map((list) => batchSlot(list, isTruth ? "bool" : "int64"));
    });
    const rounds = 200;
    fc.assert(
      fc.property(fc.tuple(...operands), (inputs: readonly Known[]) => {
        // Division by zero has no value on constants either.
        fc.pre(op !== "Div" || inputs[1] === undefined || isNeverZero(inputs[1]));
        known += agrees(op, inputs) ? 1 : 0;
      }),
      { numRuns: rounds, seed: 1 },
    );
    expect(known).toBeGreaterThan(0);
  });

  const size = batchSlot([{ coefficients: [0, 1] }, 3, { coefficients: [2, 5] }, 7]);
  const matrix = batchSlot([{ coefficients: [0, 1] }, 3, { coefficients: [2, 5] }, 7], "int64", [2, 2]);
  const arranged: readonly Case[] = [
    { op: "Identity", inputs: [size] },
    { op: "Reshape", inputs: [size, constantSlot(2, -1)] },
    { op: "Flatten", inputs: [matrix], attributes: { axis: 0 } },
    { op: "Squeeze", inputs: [batchSlot([{ coefficients: [0, 1] }]), constantSlot(0)] },
    { op: "Unsqueeze", inputs: [size, constantSlot(1)] },
    { op: "Transpose", inputs: [matrix], attributes: { perm: [1, 0] } },
    { op: "Expand", inputs: [size, constantSlot(2, 4)] },
    { op: "Tile", inputs: [size, constantSlot(3)] },
    { op: "Gather", inputs: [size, constantSlot(2, 0, -1)] },
    { op: "Slice", inputs: [size, constantSlot(3), constantSlot(0), constantSlot(0), constantSlot(-1)] },
    { op: "Split", inputs: [size, constantSlot(1, 3)], attributes: { axis: 0 }, outputCount: 2 },
    { op: "Concat", inputs: [size, constantSlot(9), size], attributes: { axis: 0 } },
    { op: "Cast", inputs: [size], attributes: { to: dtypeToOnnx("int32") } },
    { op: "ReduceSum", inputs: [size], attributes: { keepdims: 0 } },
    { op: "ReduceProd", inputs: [size] },
  ];
  it.each(arranged)(
    "of $op is its value on constants, for each batch, where elements are arranged or reduced",
    ({ op, inputs, attributes, outputCount }) => {
      expect(agrees(op, inputs, attributes, outputCount)).toBe(true);
    },
  );

  it("is tested for every operator that has one", () => {
    const all = [...operators.values()].flatMap(({ op, symbolic }) => (symbolic === undefined ? [] : [op]));
    expect(new Set([...byElement, ...arranged.map(({ op }) => op)])).toEqual(new Set(all));
  });
});

function isNeverZero(slot: Known): boolean {
  return sampledBatches.every((batch) => toNumbers(tensorFor(slot, batch)).every((number) => number !== 0));
}
