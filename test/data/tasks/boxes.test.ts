/** Which cell finds which box: the definition in docs/data.md, on drawn boxes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignBoxes, type BoxTarget, cellsOf, type LabelledBox } from "../../../src/data/tasks/boxes.ts";

const target: BoxTarget = {
  kind: "boxes",
  classes: ["a", "b", "c"],
  height: 96,
  width: 128,
  strides: [8, 16, 32],
  mostBoxes: 9,
};
const cells = cellsOf(target);
const area = ({ corners: [left, top, right, bottom] }: LabelledBox) => (right - left) * (bottom - top);

function assigned(boxes: readonly LabelledBox[]) {
  const row = new Float32Array(cells.length * 5);
  assignBoxes(boxes, cells, target, row);
  return cells.map((cell, i) => ({
    cell,
    label: row[5 * i] ?? 0,
    distances: Array.from(row.subarray(5 * i + 1, 5 * i + 5)),
  }));
}

const drawn = fc
  .tuple(
    fc.nat(2),
    fc.double({ min: 0, max: 120, noNaN: true }),
    fc.double({ min: 0, max: 90, noNaN: true }),
    fc.double({ min: 0.5, max: 128, noNaN: true }),
    fc.double({ min: 0.5, max: 96, noNaN: true }),
  )
  .map(
    ([label, x, y, width, height]): LabelledBox => ({
      label,
      corners: [x, y, Math.min(128, x + width), Math.min(96, y + height)],
      isCrowd: false,
    }),
  );

describe("the assignment of boxes to cells", () => {
  test("gives each cell a box that it was defined for, exactly, and each lone box a cell", () => {
    fc.assert(
      fc.property(fc.array(drawn, { minLength: 1, maxLength: 6 }), (boxes) => {
        for (const { cell, label, distances } of assigned(boxes)) {
          if (label < 0) {
            expect(distances).toEqual([1, 1, 1, 1]);
            continue;
          }
          const [l = 0, t = 0, r = 0, b = 0] = distances.map((distance) => distance * cell.stride);
          const found = [cell.x - l, cell.y - t, cell.x + r, cell.y + b];
          const own = boxes.find(
            (box) => box.label === label && box.corners.every((corner, i) => Math.abs(corner - (found[i] ?? 0)) < 1e-3),
          );
          expect(own).toBeDefined();
          const isWithin = [l, t, r, b].every((distance) => distance > 0);
          if (!isWithin) continue;
          const level = [8, 16, 32].findIndex((stride) => Math.max(l, t, r, b) <= 8 * stride);
          // A box without such a cell has the one that holds its middle.
          const isOne = assigned(own === undefined ? [] : [own]).filter((one) => one.label >= 0).length === 1;
          expect(isOne || cell.level === (level < 0 ? 2 : level)).toBe(true);
        }
        for (const box of boxes) expect(assigned([box]).some(({ label }) => label === box.label)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("prefers the smallest box, whatever the order, and leaves a crowd out", () => {
    fc.assert(
      fc.property(fc.uniqueArray(drawn, { minLength: 2, maxLength: 5, selector: area }), (boxes) => {
        expect(assigned([...boxes].reverse())).toEqual(assigned(boxes));
      }),
      { numRuns: 30 },
    );
    const small: LabelledBox = { label: 1, corners: [20, 20, 44, 44], isCrowd: false };
    const large: LabelledBox = { label: 0, corners: [10, 10, 60, 60], isCrowd: false };
    const middle = assigned([small, large]).find(({ cell }) => cell.level === 0 && cell.x === 28 && cell.y === 28);
    expect(middle).toMatchObject({ label: 1, distances: [1, 1, 2, 2] });
    const crowd: LabelledBox = { label: 0, corners: [0, 0, 128, 48], isCrowd: true };
    for (const { cell, label } of assigned([crowd, small])) {
      if (label !== 1) expect(label).toBe(cell.y < 48 ? -2 : -1);
    }
  });
});
