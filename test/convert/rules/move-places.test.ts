/** Operators that move elements, against ONNX Runtime: as places, and as the graph that the files have. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { movedElements } from "../../../src/convert/formats/moved-graph.ts";
import type { MoveCodes } from "../../../src/convert/integer-network.ts";
import { interpretMove } from "../../../src/convert/interpreter/windows.ts";
import { moveOf } from "../../../src/convert/rules/move-places.ts";
import type { GraphBuilder, Node, Value } from "../../../src/ir/graph.ts";
import { float32Data, float32Tensor, makeTensor, toNumbers } from "../../../src/ir/tensor.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { int64Constant } from "../../../src/ops/build/operands.ts";
import { findDefinition } from "../../../src/ops/definition.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";

/** A node that reads x of this shape. */
interface Case {
  readonly shape: readonly number[];
  readonly make: (b: GraphBuilder, x: Value) => readonly Value[];
}

const size = fc.integer({ min: 1, max: 5 });
const image = fc.tuple(size, size, size).map((sizes) => [1, ...sizes]);
const axis = fc.integer({ min: 1, max: 3 });
const seed = fc.integer({ min: 0, max: 1000 });

const cases: Readonly<Record<string, fc.Arbitrary<Case>>> = {
  Transpose: fc
    .tuple(image, fc.shuffledSubarray([1, 2, 3], { minLength: 3 }))
    .map(([shape, rest]) => ({ shape, make: (b, x) => [b.one("Transpose", [x], { perm: [0, ...rest] })] })),
  Slice: fc
    .tuple(image, axis, fc.integer({ min: -6, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.constantFrom(-2, -1, 1, 2))
    .map(([shape, at, start, count, step]) => ({
      shape,
      make: (b, x) => {
        const last = (shape[at] ?? 1) - 1;
        const first = Math.min(Math.max(start, 0), last);
        const end = first + count * step;
        const ends = [end < 0 ? Number.MIN_SAFE_INTEGER : end];
        return [b.one("Slice", [x, ...[[first], ends, [at], [step]].map((list) => int64Constant(b, list))])];
      },
    })),
  Split: fc.tuple(image, axis, seed).map(([shape, at, cut]) => ({
    shape,
    make: (b, x) => {
      const whole = shape[at] ?? 1;
      const first = cut % (whole + 1);
      return b.node("Split", [x, int64Constant(b, [first, whole - first])], { axis: at }, { outputCount: 2 });
    },
  })),
  Gather: fc.tuple(image, axis, fc.array(seed, { minLength: 1, maxLength: 6 })).map(([shape, at, picks]) => ({
    shape,
    make: (b, x) => {
      const indices = picks.map((pick) => pick % (shape[at] ?? 1));
      return [b.one("Gather", [x, int64Constant(b, indices)], { axis: at })];
    },
  })),
  "Gather of one": fc.tuple(image, axis, seed).map(([shape, at, pick]) => ({
    shape,
    make: (b, x) => {
      const index = b.constant(makeTensor("int64", [], BigInt64Array.of(BigInt(pick % (shape[at] ?? 1)))));
      return [b.one("Gather", [x, index], { axis: at })];
    },
  })),
  Pad: fc
    .tuple(
      image,
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 6, maxLength: 6 }),
      fc.constantFrom("constant", "edge"),
    )
    .map(([[, channels = 1, height = 1, width = 1], [a = 0, b2 = 0, c = 0, d = 0, e = 0, f = 0], mode]) => ({
      // Reflection needs more elements than it pads.
      shape: [1, channels + 2, height + 2, width + 2],
      make: (b, x) => [b.one("Pad", [x, int64Constant(b, [0, a, b2, c, 0, d, e, f])], { mode })],
    })),
  Resize: fc
    .tuple(
      image,
      fc.constantFrom(0.5, 1, 2, 3),
      fc.constantFrom("asymmetric", "half_pixel", "align_corners"),
      fc.constantFrom("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    )
    .filter(([[, , height = 1, width = 1], scale]) => Math.min(height, width) * scale >= 1)
    .map(([shape, scale, transformation, nearest]) => ({
      shape,
      make: (b, x) => {
        const scales = b.constant(float32Tensor([4], Float32Array.of(1, 1, scale, scale)));
        const attributes = { mode: "nearest", coordinate_transformation_mode: transformation, nearest_mode: nearest };
        return [b.one("Resize", [x, undefined, scales], attributes)];
      },
    })),
  Tile: fc.tuple(image, size).map(([shape, times]) => ({
    shape,
    make: (b, x) => [b.one("Tile", [x, int64Constant(b, [1, 1, times, 1])])],
  })),
  DepthToSpace: fc.tuple(size, size, size, fc.constantFrom("DCR", "CRD")).map(([channels, height, width, mode]) => ({
    shape: [1, 4 * channels, height, width],
    make: (b, x) => [b.one("DepthToSpace", [x], { blocksize: 2, mode })],
  })),
  SpaceToDepth: fc.tuple(size, size, size).map(([channels, height, width]) => ({
    shape: [1, channels, 3 * height, 3 * width],
    make: (b, x) => [b.one("SpaceToDepth", [x], { blocksize: 3 })],
  })),
};

/** The node behind some values. */
function nodeOf(b: GraphBuilder, values: readonly Value[]): Node {
  const node = b.nodes.find(({ outputs }) => values.every((value) => outputs.includes(value)));
  if (node === undefined) throw new Error("no node makes these values");
  return node;
}

describe("moved elements", () => {
  for (const [name, drawn] of Object.entries(cases)) {
    it(`are those of ONNX Runtime, as places and as a graph: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(drawn, async ({ shape, make }) => {
          const b = newBuilder("moves");
          const x = b.input("x", { dtype: "float32", shape });
          const values = make(b, x);
          if (values.some(({ type }) => elementCount(type.shape) === 0)) return;
          const node = nodeOf(b, values);
          const fold = findDefinition(operators, node)?.fold;
          const constants = node.inputs
            .slice(1)
            .map((input) => (input === undefined ? undefined : b.constantOf(input)));
          const moves = values.map((value, output): MoveCodes => {
            const move = fold === undefined ? undefined : moveOf(node, fold, constants, output);
            if (move === undefined) throw new Error("it does not move elements");
            expect(move.places.map(({ length }) => length)).toEqual(value.type.shape.slice(1));
            return { op: "MoveCodes", name, input: 0, output: 1, places: move.places, fill: move.fill ?? 0 };
          });
          values.forEach((value, i) => {
            b.output(`y${i}`, value);
          });
          moves.forEach((move, i) => {
            b.output(`z${i}`, movedElements(b, x, move, 0));
          });
          const numbers = Float32Array.from({ length: elementCount(shape) }, (_, i) => i + 1);
          const results = await runGraph(b.finish(), { x: float32Tensor(shape, numbers) });
          moves.forEach((move, i) => {
            const expected = results[`y${i}`];
            if (expected === undefined) throw new Error("it has no result");
            expect([...interpretMove(move, Float64Array.from(numbers))]).toEqual(toNumbers(expected));
            expect([...float32Data(results[`z${i}`] ?? expected)]).toEqual(toNumbers(expected));
            expect(results[`z${i}`]?.shape).toEqual(expected.shape);
          });
        }),
        { numRuns: 25, seed: 20261129 },
      );
    });
  }

  it("are not what averages", () => {
    const b = newBuilder("others");
    const x = b.input("x", { dtype: "float32", shape: [1, 3, 4, 4] });
    const node = nodeOf(b, [b.one("ReduceMean", [x], { keepdims: 1 })]);
    const fold = findDefinition(operators, node)?.fold;
    expect(fold).toBeDefined();
    expect(fold === undefined ? undefined : moveOf(node, fold, [])).toBeUndefined();
  });
});
