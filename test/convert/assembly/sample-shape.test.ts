/** Shapes with the sample first: the elements keep their order, and axes are found again. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { axisSampleFirst, sampleFirst } from "../../../src/convert/assembly/sample-shape.ts";
import { rowMajorStrides } from "../../../src/ir/types.ts";

const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 5 });

describe("a shape with the sample first", () => {
  it("has one element along its first axis, and every other axis with its size and its stride", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const moved = sampleFirst(shape);
        expect(moved[0]).toBe(1);
        const [before, after] = [rowMajorStrides(shape), rowMajorStrides(moved)];
        shape.forEach((size, axis) => {
          const place = axisSampleFirst(shape, axis);
          expect(axisSampleFirst(shape, axis - shape.length)).toBe(place);
          expect(moved[place]).toBe(size);
          if (size > 1) expect(after[place]).toBe(before[axis]);
        });
      }),
    );
  });

  it("is found wherever the batch of one stands", () => {
    expect(sampleFirst([1, 3, 8, 8])).toEqual([1, 3, 8, 8]);
    expect(sampleFirst([17, 1, 64])).toEqual([1, 17, 1, 64]);
    expect(sampleFirst([4, 17, 16])).toEqual([1, 4, 17, 16]);
    expect(axisSampleFirst([17, 1, 64], -1)).toBe(3);
    expect(axisSampleFirst([4, 17, 16], 0)).toBe(1);
  });
});
