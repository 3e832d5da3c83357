/** The type rules: what they infer is what the engine makes, and what they refuse they explain. */

import { describe, expect, it } from "vitest";
import { GraphError, UnsupportedError } from "../../src/errors.ts";
import type { Attributes, GraphBuilder, Value } from "../../src/ir/graph.ts";
import { float32Tensor, int64Tensor, makeTensor, toNumbers } from "../../src/ir/tensor.ts";
import { type DType, type Shape, showType } from "../../src/ir/types.ts";
import { broadcastAxes, broadcastShapes, sumTo } from "../../src/ops/build/broadcast.ts";
import { int64Constant, scalarOf } from "../../src/ops/build/operands.ts";
import { builderFor, operatorKey } from "../../src/ops/definition.ts";
import { cast } from "../../src/ops/families/cast.ts";
import { equal, greater, greaterOrEqual, less, lessOrEqual } from "../../src/ops/families/comparison.ts";
import { add, multiply } from "../../src/ops/families/elementwise.ts";
import { dequantizeLinear, quantizeLinear } from "../../src/ops/families/quantize-linear.ts";
import { reduceMax } from "../../src/ops/families/reduce.ts";
import { slice } from "../../src/ops/families/shape/shape-ops.ts";
import { standardOperators } from "../../src/ops/index.ts";
import {
  addAll,
  and,
  argMax,
  argMin,
  dynamicQuantizeLinear,
  isInfinite,
  isNotANumber,
  modulo,
  not,
  or,
  xor,
} from "../support/graphs/operators.ts";
import { runGraph } from "../support/graphs/run-graph.ts";

interface Made {
  readonly [name: string]: readonly number[];
}

/** Runs a graph of one input x = [[-2, 0, 1], [0.5, 1.5, 2.5]]; the runner compares every inferred type with the engine's. */
async function made(build: (b: GraphBuilder, x: Value) => Readonly<Record<string, Value>>): Promise<Made> {
  const b = builderFor(standardOperators, "made");
  const x = b.input("x", { dtype: "float32", shape: [2, 3] });
  for (const [name, value] of Object.entries(build(b, x))) b.output(name, value);
  const results = await runGraph(b.finish(), { x: float32Tensor([2, 3], [-2, 0, 1, 0.5, 1.5, 2.5]) });
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, toNumbers(tensor)]));
}

describe("operators without gradients", () => {
  it("compare, and combine booleans", async () => {
    const result = await made((b, x) => ({
      equal: equal(b, x, 1),
      greater: greater(b, x, 1),
      greaterOrEqual: greaterOrEqual(b, x, 1),
      less: less(b, 1, x),
      lessOrEqual: lessOrEqual(b, 1, x),
      both: and(b, greater(b, x, 0), less(b, x, 2)),
      either: or(b, less(b, x, 0), greater(b, x, 2)),
      one: xor(b, less(b, x, 1), less(b, x, 2)),
      not: not(b, greater(b, x, 1)),
      nan: isNotANumber(b, x),
      infinite: isInfinite(b, x),
    }));
    expect(result).toEqual({
      equal: [0, 0, 1, 0, 0, 0],
      greater: [0, 0, 0, 0, 1, 1],
      greaterOrEqual: [0, 0, 1, 0, 1, 1],
      less: [0, 0, 0, 0, 1, 1],
      lessOrEqual: [0, 0, 1, 0, 1, 1],
      both: [0, 0, 1, 1, 1, 0],
      either: [1, 0, 0, 0, 0, 1],
      one: [0, 0, 1, 0, 1, 0],
      not: [1, 1, 1, 1, 0, 0],
      nan: [0, 0, 0, 0, 0, 0],
      infinite: [0, 0, 0, 0, 0, 0],
    });
  });

  it("find places, and cast", async () => {
    const result = await made((b, x) => ({
      argMax: argMax(b, x, 1, { keepDimensions: false }),
      argMin: argMin(b, x, 0),
      integer: cast(b, x, "int32"),
      half: cast(b, add(b, cast(b, x, "float16"), 1), "float32"),
      remainder: modulo(b, cast(b, x, "int64"), 2),
    }));
    expect(result).toEqual({
      argMax: [2, 2],
      argMin: [0, 0, 0],
      integer: [-2, 0, 1, 0, 1, 2],
      half: [-1, 1, 2, 1.5, 2.5, 3.5],
      remainder: [0, 0, 1, 0, 1, 0],
    });
  });

  it("quantize and dequantize, per tensor, per channel and dynamically", async () => {
    const result = await made((b, x) => {
      const scale = b.constant(float32Tensor([3], [1, 0.5, 0.25]));
      const zeroPoint = b.constant(makeTensor("int8", [3], Int8Array.of(0, 1, 2)));
      const codes = quantizeLinear(b, x, scale, { zeroPoint, axis: 1 });
      const dynamic = dynamicQuantizeLinear(b, x);
      return {
        tensor: quantizeLinear(b, x, b.scalar(0.5), { zeroPoint: scalarOf(b, 4, "uint8") }),
        nibbles: cast(b, quantizeLinear(b, x, b.scalar(0.5), { dtype: "int4" }), "int8"),
        codes,
        back: dequantizeLinear(b, codes, scale, { zeroPoint, axis: 1 }),
        zeroPoint: dynamic.zeroPoint,
      };
    });
    expect(result).toEqual({
      tensor: [0, 4, 6, 5, 7, 9],
      nibbles: [-4, 0, 2, 1, 3, 5],
      codes: [-2, 1, 6, 0, 4, 12],
      back: [-2, 0, 1, 0, 1.5, 2.5],
      zeroPoint: [113],
    });
  });
});

describe("type rules", () => {
  const inferred = (
    op: string,
    inputs: readonly [DType, Shape][],
    attributes: Attributes = {},
    constants: number[][] = [],
  ) => {
    const b = builderFor(standardOperators, "typed");
    const values = [
      ...inputs.map(([dtype, shape], i) => b.input(`x${i}`, { dtype, shape })),
      ...constants.map((numbers) => b.constant(int64Tensor(numbers))),
    ];
    return b
      .node(op, values, attributes, op === "Split" ? { outputCount: 2 } : {})
      .map((value) => showType(value.type));
  };
  const x: [DType, Shape] = ["float32", [2, 3, 4]];

  it("accept the attributes of older opsets", () => {
    expect(inferred("ReduceSum", [x], { axes: [1], keepdims: 0 })).toEqual(["float32[2,4]"]);
    expect(inferred("Squeeze", [["float32", [1, 3, 1]]], { axes: [0] })).toEqual(["float32[3,1]"]);
    expect(inferred("Unsqueeze", [x], { axes: [0, -1] })).toEqual(["float32[1,2,3,4,1]"]);
    expect(inferred("Pad", [x], { pads: [0, 1, 0, 0, 1, 2] })).toEqual(["float32[2,5,6]"]);
    expect(inferred("Slice", [x], { starts: [1], ends: [9], axes: [2] })).toEqual(["float32[2,3,3]"]);
    expect(inferred("Split", [x], { axis: 2, split: [1, 3] })).toEqual(["float32[2,3,1]", "float32[2,3,3]"]);
    expect(inferred("Split", [x], { axis: 1 })).toEqual(["float32[2,2,4]", "float32[2,1,4]"]);
    expect(inferred("Reshape", [x], { shape: [0, -1] })).toEqual(["float32[2,12]"]);
    expect(inferred("TopK", [x], { k: 2 })).toEqual(["float32[2,3,2]", "int64[2,3,2]"]);
    expect(inferred("Clip", [x], { min: { float: 0 }, max: { float: 6 } })).toEqual(["float32[2,3,4]"]);
  });

  it("know the ends of the int64 range, which exporters write for the ends of an axis", () => {
    const b = builderFor(standardOperators, "ends");
    const value = b.input("x", { dtype: "float32", shape: [5] });
    const list = (number: bigint) => b.constant(makeTensor("int64", [1], BigInt64Array.of(number)));
    const shapeOf = (start: bigint, end: bigint, step: bigint) =>
      b.one("Slice", [value, list(start), list(end), list(0n), list(step)]).type.shape;
    expect(shapeOf(1n, 2n ** 63n - 1n, 1n)).toEqual([4]);
    expect(shapeOf(-1n, -(2n ** 63n), -2n)).toEqual([3]);
    expect(shapeOf(4n, 1n, 1n)).toEqual([0]);
  });

  it("handle ellipses and implicit outputs of Einsum", () => {
    const y: [DType, Shape] = ["float32", [4, 5]];
    expect(inferred("Einsum", [x, y], { equation: "...ij,jk->...ik" })).toEqual(["float32[2,3,5]"]);
    expect(inferred("Einsum", [x, y], { equation: "bij,jk" })).toEqual(["float32[2,3,5]"]);
    expect(inferred("Einsum", [["float32", [3, 3]]], { equation: "ii->i" })).toEqual(["float32[3]"]);
  });

  const refused: readonly [string, () => unknown, RegExp][] = [
    [
      "Add",
      () => inferred("Add", [x, ["float32", [3]]]),
      /shapes do not broadcast in Add\(float32\[2,3,4\], float32\[3\]\)/,
    ],
    ["Mul", () => inferred("Mul", [x, ["int64", []]]), /element types differ/],
    ["And", () => inferred("And", [x, x]), /should be booleans/],
    ["Where", () => inferred("Where", [x, x, x]), /condition should be boolean/],
    ["Reshape", () => inferred("Reshape", [x], {}, [[5, -1]]), /24 elements cannot take the shape \[5,-1\]/],
    ["Reshape twice", () => inferred("Reshape", [x], {}, [[-1, -1]]), /leaves two sizes open/],
    ["Transpose", () => inferred("Transpose", [x], { perm: [0, 1] }), /does not order 3 axes/],
    ["Concat", () => inferred("Concat", [x, ["float32", [2, 3, 5]]], { axis: 1 }), /input 1 does not fit/],
    ["Squeeze", () => inferred("Squeeze", [x], {}, [[1]]), /axis 1 is not of size 1/],
    ["Softmax", () => inferred("Softmax", [x], { axis: 3 }), /axis 3 does not exist in a tensor of 3 axes/],
    ["ReduceSum", () => inferred("ReduceSum", [x], {}, [[1, -2]]), /name an axis twice/],
    ["Slice", () => inferred("Slice", [x], {}, [[0], [1], [0], [0]]), /the step must not be 0/],
    ["Split", () => inferred("Split", [x], { axis: 1 }, [[1, 1]]), /parts of \[1,1\] do not make up axis 1/],
    ["Pad", () => inferred("Pad", [x], {}, [[-3, 0, 0, 0, 0, 0]]), /crop more than the input has/],
    ["MatMul", () => inferred("MatMul", [x, ["float32", [3, 4]]]), /the inner sizes differ/],
    ["Gemm", () => inferred("Gemm", [x, x]), /should be matrices/],
    ["Einsum", () => inferred("Einsum", [x], { equation: "ij->i" }), /"ij" does not fit input 0/],
    ["TopK", () => inferred("TopK", [x], {}, [[5]]), /fewer than 5 elements/],
    ["Gather", () => inferred("Gather", [x, x]), /indices should be int32 or int64/],
    ["PRelu", () => inferred("PRelu", [x, ["float32", [3]]]), /slope does not broadcast/],
    ["QuantizeLinear", () => inferred("QuantizeLinear", [x, ["float32", [2]]]), /does not fit axis 1/],
    ["Relu", () => inferred("Relu", []), /input 0 is missing/],
  ];
  for (const [name, build, message] of refused) {
    it(`refuse a wrong ${name}`, () => {
      expect(build).toThrow(GraphError);
      expect(build).toThrow(message);
    });
  }

  it("refuse a shape that is computed, and say what to do", () => {
    for (const op of ["Expand", "Reshape", "Unsqueeze"]) {
      const build = () => inferred(op, [x, ["int64", [3]]]);
      expect(build).toThrow(UnsupportedError);
      expect(build).toThrow(/must be a constant/);
    }
  });
});

describe("operands", () => {
  const b = builderFor(standardOperators, "operands");
  const x = b.input("x", { dtype: "int64", shape: [2] });

  it("take numbers in the element type of the other side", () => {
    expect(multiply(b, x, 3).type).toEqual({ dtype: "int64", shape: [2] });
    expect(multiply(b, 2, 3).type).toEqual({ dtype: "float32", shape: [] });
  });

  it("share constants, so that equal nodes are merged", () => {
    expect(int64Constant(b, [1, 2])).toBe(int64Constant(b, [1, 2]));
    expect(reduceMax(b, x, [0])).toBe(reduceMax(b, x, [0]));
    const range = { axes: [0], starts: [0], ends: [1] };
    expect(slice(b, x, range)).toBe(slice(b, x, { ...range, steps: [1] }));
  });

  it("add up", () => {
    expect(addAll(b, [x])).toBe(x);
    expect(() => addAll(b, [])).toThrow(GraphError);
  });
});

describe("broadcasting", () => {
  it("finds the common shape", () => {
    expect(broadcastShapes([3, 1], [4])).toEqual([3, 4]);
    expect(broadcastShapes([], [2, 3])).toEqual([2, 3]);
    expect(broadcastShapes([0], [1])).toEqual([0]);
    expect(broadcastShapes([2], [3])).toBeUndefined();
  });

  it("is undone along the repeated axes only", () => {
    expect(broadcastAxes([2, 3, 4], [3, 1])).toEqual([0, 2]);
    expect(broadcastAxes([1, 3], [1, 3])).toEqual([]);
    const b = builderFor(standardOperators, "sum");
    const gradient = b.input("gradient", { dtype: "float32", shape: [2, 3, 4] });
    expect(sumTo(b, gradient, [2, 3, 4])).toBe(gradient);
    expect(sumTo(b, gradient, [3, 1]).type.shape).toEqual([3, 1]);
    expect(sumTo(b, gradient, []).type.shape).toEqual([]);
  });
});

describe("the registry", () => {
  it("has each operator once", () => {
    for (const [key, { op, domain }] of standardOperators) expect(operatorKey(domain, op)).toBe(key);
  });
});
