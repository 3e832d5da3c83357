/** Streams are functions of seed and keys, independent of each other, and distributed as they say. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { ConfigError } from "../../src/errors.ts";

const key = fc.oneof(fc.maxSafeInteger(), fc.string({ maxLength: 6 }));

function firstNumbers(seed: number, ...keys: (number | string)[]): number[] {
  const stream = randomStream(seed, ...keys);
  return Array.from({ length: 8 }, () => stream.uniform());
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe("randomStream", () => {
  test("gives the same numbers for the same seed and keys", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.array(key, { maxLength: 4 }), (seed, keys) => {
        expect(firstNumbers(seed, ...keys)).toEqual(firstNumbers(seed, ...keys));
      }),
    );
  });

  test("gives other numbers for another seed or other keys", () => {
    fc.assert(
      fc.property(
        fc.array(key, { minLength: 1, maxLength: 4 }),
        fc.array(key, { minLength: 1, maxLength: 4 }),
        (one, other) => {
          fc.pre(
            JSON.stringify(one.map((k) => (k === 0 ? 0 : k))) !== JSON.stringify(other.map((k) => (k === 0 ? 0 : k))),
          );
          expect(firstNumbers(1, ...one)).not.toEqual(firstNumbers(1, ...other));
        },
      ),
    );
    expect(firstNumbers(1, 2, 3)).not.toEqual(firstNumbers(1, 3, 2));
    expect(firstNumbers(1, "2")).not.toEqual(firstNumbers(1, 2));
    expect(firstNumbers(1, "ab", "c")).not.toEqual(firstNumbers(1, "a", "bc"));
    expect(firstNumbers(1)).not.toEqual(firstNumbers(1 + 2 ** 32));
    expect(firstNumbers(-1)).not.toEqual(firstNumbers(1));
  });

  test("keeps its numbers from version to version", () => {
    // Runs are resumed and compared across versions: a change of these values breaks them.
    expect(Array.from(randomStream(1, "shuffle", 0).permutation(12))).toMatchInlineSnapshot(`
      [
        3,
        8,
        2,
        9,
        5,
        6,
        1,
        7,
        0,
        4,
        10,
        11,
      ]
    `);
    expect(firstNumbers(0).slice(0, 3)).toMatchInlineSnapshot(`
      [
        0.898813366897542,
        0.2038480352633717,
        0.07422183807531801,
      ]
    `);
  });

  test("first numbers of neighbouring steps are uncorrelated", () => {
    const numbers = Array.from({ length: 4000 }, (_, step) => randomStream(5, "crop", step).uniform());
    const products = numbers.slice(1).map((value, i) => (value - 0.5) * ((numbers[i] ?? 0) - 0.5));
    // The standard error of the mean product is (1/12) / sqrt(4000) = 0.0013.
    expect(Math.abs(mean(products))).toBeLessThan(0.006);
    expect(Math.abs(mean(numbers) - 0.5)).toBeLessThan(0.02);
  });

  test.each([Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY])("refuses the seed %s", (seed) => {
    expect(() => randomStream(seed)).toThrow(ConfigError);
  });
});

describe("distributions", () => {
  test("uniform stays in its range and fills it evenly", () => {
    const stream = randomStream(3);
    const values = Array.from({ length: 20_000 }, () => stream.uniform(-2, 6));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-2);
    expect(Math.max(...values)).toBeLessThan(6);
    expect(mean(values)).toBeCloseTo(2, 0);
    expect(values.filter((value) => value < 0).length / values.length).toBeCloseTo(0.25, 1);
  });

  test("normal has the moments of a normal distribution", () => {
    const stream = randomStream(4);
    const values = Array.from({ length: 40_000 }, () => (stream.normal(10, 2) - 10) / 2);
    expect(Math.abs(mean(values))).toBeLessThan(0.02);
    expect(Math.abs(mean(values.map((value) => value ** 2)) - 1)).toBeLessThan(0.03);
    expect(Math.abs(mean(values.map((value) => value ** 3)))).toBeLessThan(0.1);
    expect(Math.abs(mean(values.map((value) => value ** 4)) - 3)).toBeLessThan(0.2);
    // Box and Muller's two numbers of a pair are independent.
    const pairs = values.filter((_, i) => i % 2 === 0).map((value, i) => value * (values[2 * i + 1] ?? 0));
    expect(Math.abs(mean(pairs))).toBeLessThan(0.03);
  });

  test("integerBelow gives every integer of its range equally often", () => {
    const stream = randomStream(6);
    const counts = new Array<number>(9).fill(0);
    for (let i = 0; i < 18_000; i++) {
      const value = stream.integerBelow(9);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    expect(counts).toHaveLength(9);
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(220);
    expect(stream.integerBelow(1)).toBe(0);
    expect(() => stream.integerBelow(0)).toThrow(ConfigError);
    expect(() => stream.integerBelow(2.5)).toThrow(ConfigError);
  });

  test("a permutation holds every number once", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(300), (seed, count) => {
        const permutation = randomStream(seed, "shuffle").permutation(count);
        expect(Array.from(permutation).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  test("shuffle gives all orders of three equally often", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = randomStream(seed).permutation(3).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
