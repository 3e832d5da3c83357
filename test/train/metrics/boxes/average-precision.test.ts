/** Average precision against pycocotools 2.0.11 (scripts/average-precision.py), with crowds, ties and more than 100 boxes. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { LabelledBox } from "../../../../src/data/tasks/boxes.ts";
import { averagePrecision, type ImageBoxes } from "../../../../src/train/metrics/boxes/average-precision.ts";
import { suppressed } from "../../../../src/train/metrics/boxes/decode.ts";

const rows = z.array(z.array(z.number()).length(7));
const schema = z.array(
  z.object({
    images: z.int(),
    classes: z.int(),
    expected: z.object({
      mean: z.number().nullable(),
      at50: z.number().nullable(),
      classes: z.array(z.number().nullable()),
    }),
    boxes: rows,
    found: rows,
  }),
);
const file = process.env.SUBBYTE_BOXES ?? new URL("coco.json", import.meta.url);
const cases = schema.parse(JSON.parse(readFileSync(file, "utf8")));

function cornersOf([, , x = 0, y = 0, width = 0, height = 0]: readonly number[]): LabelledBox["corners"] {
  return [x, y, x + width, y + height];
}

describe("average precision", () => {
  it(`equals that of pycocotools on ${cases.length} sets of random boxes`, () => {
    for (const { images, classes, expected, boxes, found } of cases) {
      const sets: ImageBoxes[] = Array.from({ length: images }, (_, image) => ({
        boxes: boxes
          .filter(([own]) => own === image)
          .map((row) => ({ corners: cornersOf(row), label: row[1] ?? 0, isCrowd: row[6] === 1 })),
        found: found
          .filter(([own]) => own === image)
          .map((row) => ({ corners: cornersOf(row), label: row[1] ?? 0, score: row[6] ?? 0 })),
      }));
      const result = averagePrecision(sets, classes);
      const values = [result.mean, result.at50, ...result.classes];
      [expected.mean, expected.at50, ...expected.classes].forEach((wanted, i) => {
        const value = values[i] ?? Number.NaN;
        if (wanted === null) expect(value).toBeNaN();
        else expect(Math.abs(value - wanted)).toBeLessThan(1e-9);
      });
    }
  });

  it("is 1 where each box is found, and does not depend on the size of the image", () => {
    const side = fc.double({ min: 0.25, max: 4, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 9 }),
        side,
        side,
        (all, across, down) => {
          const boxes = all.map(
            ([label, x, y]) =>
              ({ label, corners: [x * across, y * down, (x + 9) * across, (y + 5) * down], isCrowd: false }) as const,
          );
          const found = boxes.map(({ label, corners }, i) => ({ label, corners, score: 1 - i / 100 }));
          expect(averagePrecision([{ boxes, found }], 4).mean).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("is measured after one of two boxes that overlap is dropped", () => {
    const box = (x: number, label: number, score: number) => ({ corners: [x, 0, x + 10, 10], label, score }) as const;
    const ordered = [box(0, 0, 0.9), box(1, 0, 0.8), box(1, 1, 0.7), box(5, 0, 0.6)];
    expect(suppressed(ordered).map(({ score }) => score)).toEqual([0.9, 0.7, 0.6]);
  });
});
