/** The stored numbers of PNG files: every bit depth and filter, and damage. */
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeStoredNumbers } from "../../../../src/data/formats/masks/png.ts";
import { FileFormatError } from "../../../../src/errors.ts";
import { numbersAsPng } from "./png-file.ts";

describe("stored numbers of PNG files", () => {
  test("come back for every bit depth and filter, from palettes too", () => {
    const shape = fc.record({
      width: fc.integer({ min: 1, max: 13 }),
      height: fc.integer({ min: 1, max: 6 }),
      bits: fc.constantFrom(1, 2, 4, 8, 16),
      filters: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(shape, ({ width, height, bits, filters, seed }) => {
        const values = Array.from({ length: width * height }, (_, i) => ((i + 1) * (seed + 7919)) % 2 ** bits);
        const file = numbersAsPng(width, values, { bits, type: bits === 16 ? 0 : 3, filters });
        const read = decodeStoredNumbers(file, "x.png");
        expect([read.width, read.height, Array.from(read.values)]).toEqual([width, height, values]);
      }),
      { numRuns: 200 },
    );
  });

  test("equal what libvips reads of grey and of colours", async () => {
    const pixels = Buffer.from(Array.from({ length: 9 * 7 * 3 }, (_, i) => (i * 37) % 256));
    const colour = await sharp(pixels, { raw: { width: 9, height: 7, channels: 3 } })
      .png()
      .toBuffer();
    const read = decodeStoredNumbers(colour, "x.png");
    const wanted = Array.from({ length: 63 }, (_, i) => pixels.readUIntBE(3 * i, 3));
    expect([read.isColour, Array.from(read.values)]).toEqual([true, wanted]);
    const grey = sharp(pixels.subarray(0, 63), { raw: { width: 9, height: 7, channels: 1 } }).toColourspace("b-w");
    expect(Array.from(decodeStoredNumbers(await grey.png().toBuffer(), "x.png").values)).toEqual([
      ...pixels.subarray(0, 63),
    ]);
  });

  test("a damaged file is refused with its name, whatever byte is changed or missing", () => {
    const file = numbersAsPng(
      5,
      Array.from({ length: 30 }, (_, i) => i % 4),
      { filters: [4, 1] },
    );
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, isCut) => {
        const bytes = Uint8Array.from(isCut ? file.subarray(0, at) : file);
        if (!isCut) bytes[at] = (bytes[at] ?? 0) ^ change;
        try {
          decodeStoredNumbers(bytes, "x.png");
          expect.unreachable();
        } catch (error) {
          expect(error).toBeInstanceOf(FileFormatError);
          expect(error instanceof FileFormatError && error.where).toBe("x.png");
        }
      }),
      { numRuns: 300 },
    );
  });
});
