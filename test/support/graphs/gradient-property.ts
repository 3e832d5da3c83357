/** Gradient checks over random shapes and attributes, with the seed fixed so that a failure is found again. */

import fc from "fast-check";
import { it } from "vitest";
import type { Tensor } from "../../../src/ir/tensor.ts";
import type { Shape } from "../../../src/ir/types.ts";
import { type Random, seeded } from "../random.ts";
import { type BuildForward, checkGradient, type GradientCheckOptions } from "./gradient-check.ts";

/** One drawn example: the operator with its attributes, and the inputs. */
export interface Example {
  readonly build: BuildForward;
  readonly inputs: readonly Tensor[];
  readonly options?: GradientCheckOptions;
}

export interface PropertyOptions {
  readonly runs?: number;
}

/** A test that checks the gradients of `runs` random examples. */
export function gradientProperty<Drawn>(
  name: string,
  arbitrary: fc.Arbitrary<Drawn>,
  example: (drawn: Drawn, random: Random) => Example,
  { runs = 12 }: PropertyOptions = {},
): void {
  it(name, async () => {
    const property = fc.asyncProperty(arbitrary, fc.integer({ min: 1 }), async (drawn, seed) => {
      const { build, inputs, options } = example(drawn, seeded(seed));
      await checkGradient(build, inputs, { seed, ...options });
    });
    await fc.assert(property, { seed: 20_241, numRuns: runs });
  });
}

/** Shapes of `least` to `most` axes with sizes up to `size`. */
export function shapes(least = 1, most = 3, size = 4): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 1, max: size }), { minLength: least, maxLength: most });
}

/** Two shapes that broadcast to one another, in either order, with repeated and missing axes. */
export function broadcastingShapes(): fc.Arbitrary<readonly [Shape, Shape]> {
  const axis = fc.record({ size: fc.integer({ min: 1, max: 4 }), repeated: fc.constantFrom("none", "left", "right") });
  return fc
    .record({
      axes: fc.array(axis, { minLength: 1, maxLength: 3 }),
      dropped: fc.integer({ min: 0, max: 2 }),
      swapped: fc.boolean(),
    })
    .map(({ axes, dropped, swapped }) => {
      const side = (which: string) => axes.map(({ size, repeated }) => (repeated === which ? 1 : size));
      const [left, right] = [side("left"), side("right").slice(Math.min(dropped, axes.length))];
      return swapped ? [right, left] : [left, right];
    });
}

/** A shape with one of its axes. */
export function shapeWithAxis(least = 1, most = 3, size = 4): fc.Arbitrary<{ shape: number[]; axis: number }> {
  return shapes(least, most, size).chain((shape) =>
    fc.record({ shape: fc.constant(shape), axis: fc.integer({ min: -shape.length, max: shape.length - 1 }) }),
  );
}

/** The item at an index; the tests know that it is there. */
export function itemAt<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new Error(`there is no item ${index}`);
  return item;
}
