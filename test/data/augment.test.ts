/** Crop and flip against their definitions, and the time they take. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { augmentSamples, checkAugmentation, copyShifted, mirrorRows } from "../../src/data/augment.ts";
import { errorOf } from "./support.ts";

const shape = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 7 }));
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i % 255) + 1);
const streams = (seed: number) => ({ crop: randomStream(seed, "crop"), flip: randomStream(seed, "flip") });

test("a shift is what its definition says, and touches nothing else", () => {
  fc.assert(
    fc.property(shape, fc.integer({ min: -8, max: 8 }), fc.integer({ min: -8, max: 8 }), ([c, h, w], down, right) => {
      const length = c * h * w;
      const source = bytes(3 * length);
      const target = new Uint8Array(3 * length).fill(255);
      copyShifted(source, target, length, [c, h, w], down, right);
      for (let i = 0; i < 3 * length; i++) {
        const inside = i - length;
        const [channel, y, x] = [Math.floor(inside / (h * w)), Math.floor(inside / w) % h, inside % w];
        const [fromY, fromX] = [y + down, x + right];
        const within = fromY >= 0 && fromY < h && fromX >= 0 && fromX < w;
        const from = within ? source[length + channel * h * w + fromY * w + fromX] : 0;
        expect(target[i]).toBe(inside >= 0 && inside < length ? from : 255);
      }
    }),
  );
});

test("a mirrored image is reversed in every row; twice gives the image back", () => {
  fc.assert(
    fc.property(shape, ([c, h, w]) => {
      const original = bytes(c * h * w);
      const mirrored = Uint8Array.from(original);
      mirrorRows(mirrored, 0, [c, h, w]);
      for (let row = 0; row < c * h; row++) {
        expect(Array.from(mirrored.subarray(row * w, (row + 1) * w))).toEqual(
          Array.from(original.subarray(row * w, (row + 1) * w)).reverse(),
        );
      }
      mirrorRows(mirrored, 0, [c, h, w]);
      expect(mirrored).toEqual(original);
    }),
  );
});

describe("augmentSamples", () => {
  const sampleShape = [1, 8, 8];
  const count = 400;
  const source = bytes(count * 64);

  test("every shift of the padding comes, and half of the images are mirrored", () => {
    const marked = new Uint8Array(count * 64);
    // One bright pixel at (3, 2) of each image shows where it went.
    for (let sample = 0; sample < count; sample++) marked[sample * 64 + 3 * 8 + 2] = 200;
    const target = new Uint8Array(count * 64);
    augmentSamples(marked, target, count, sampleShape, { cropPadding: 1, horizontalFlip: true }, streams(1));
    const places = new Map<string, number>();
    for (let sample = 0; sample < count; sample++) {
      const place = target.subarray(sample * 64, (sample + 1) * 64).indexOf(200);
      const name = `${Math.floor(place / 8)},${place % 8}`;
      places.set(name, (places.get(name) ?? 0) + 1);
    }
    const expected = [2, 3, 4].flatMap((y) => [1, 2, 3, 4, 5, 6].map((x) => `${y},${x}`));
    expect([...places.keys()].sort()).toEqual(expected.sort());
    const mirrored = [...places].reduce((sum, [name, times]) => sum + (Number(name.slice(2)) > 3 ? times : 0), 0);
    expect(Math.abs(mirrored - count / 2)).toBeLessThan(50);
  });

  test("the same streams give the same bytes, and the crop does not depend on the flip", () => {
    const run = (horizontalFlip: boolean, seed: number) => {
      const target = new Uint8Array(source.length);
      augmentSamples(source, target, count, sampleShape, { cropPadding: 2, horizontalFlip }, streams(seed));
      return target;
    };
    expect(run(true, 1)).toEqual(run(true, 1));
    expect(run(true, 1)).not.toEqual(run(true, 2));
    const cropped = run(false, 1);
    const both = run(true, 1);
    for (let start = 0; start < source.length; start += 64) {
      const image = cropped.slice(start, start + 64);
      const other = both.subarray(start, start + 64);
      if (!other.every((value, i) => value === image[i])) mirrorRows(image, 0, sampleShape);
      expect(other).toEqual(image);
    }
  });

  test("with nothing to do it copies, floats too", () => {
    const floats = Float32Array.from({ length: 128 }, (_, i) => i / 3);
    const target = new Float32Array(128);
    augmentSamples(floats, target, 2, sampleShape, {}, streams(1));
    expect(target).toEqual(floats);
  });

  test("128 images of 3x32x32 take less than a millisecond", () => {
    const images = bytes(128 * 3072);
    const target = new Uint8Array(images.length);
    const times = Array.from({ length: 40 }, (_, i) => {
      const start = performance.now();
      augmentSamples(images, target, 128, [3, 32, 32], { cropPadding: 4, horizontalFlip: true }, streams(i));
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(1);
  });
});

describe("checkAugmentation", () => {
  test("refuses what does not fit the samples", async () => {
    const check = (cropPadding: number, sampleShape: number[]) =>
      errorOf(() => checkAugmentation({ cropPadding }, sampleShape));
    expect((await check(8, [1, 8, 9])).describe()).toMatch(
      /padding of 8 does not fit images of 8x9\n.*0 \(no crop\) to 7/,
    );
    expect((await check(-1, [1, 8, 8])).message).toMatch(/padding of -1/);
    expect((await check(1.5, [1, 8, 8])).message).toMatch(/padding of 1.5/);
    expect((await check(1, [64])).message).toMatch(/for images \[C, H, W\], the samples have the shape \[64\]/);
    expect((await errorOf(() => checkAugmentation({ horizontalFlip: true }, [64]))).message).toMatch(/crop and flip/);
  });

  test("allows any samples when there is nothing to do", () => {
    expect(() => checkAugmentation({}, [64])).not.toThrow();
    expect(() => checkAugmentation({ horizontalFlip: false, cropPadding: 0 }, [64])).not.toThrow();
  });
});
