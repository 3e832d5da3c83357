/** Random tensors for tests: seeded, and kept away from the points where a function has a kink. */

import { float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { elementCount, type Shape } from "../../src/ir/types.ts";

/** Numbers in [0, 1). */
export type Random = () => number;

/** The mulberry32 generator: 32 bits of state, plenty for tests. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws the initial parameters of a network, all of them from [0, 1). */
export function seededParameters(seed: number): { readonly uniform: Random; readonly normal: Random } {
  const random = seeded(seed);
  return { uniform: random, normal: random };
}

export interface RandomTensorOptions {
  /** Default −2. */
  readonly low?: number;
  /** Default 2. */
  readonly high?: number;
  /** Gives the numbers, drawn as magnitudes, random signs. */
  readonly signed?: boolean;
  /** Points to keep away from. */
  readonly kinks?: readonly number[];
  /** How far to keep away from them; default 0.1. */
  readonly margin?: number;
}

/** A float32 tensor of independent numbers. */
export function randomTensor(random: Random, shape: Shape, options: RandomTensorOptions = {}): Tensor {
  const { low = -2, high = 2, signed = false, kinks = [], margin = 0.1 } = options;
  const draw = (): number => {
    for (;;) {
      const magnitude = low + (high - low) * random();
      const value = signed && random() < 0.5 ? -magnitude : magnitude;
      if (kinks.every((kink) => Math.abs(value - kink) > margin)) return value;
    }
  };
  return float32Tensor(shape, Float32Array.from({ length: elementCount(shape) }, draw));
}

/** A float32 tensor whose elements are pairwise at least `gap` apart, in random order: no ties, no near ties. */
export function distinctTensor(random: Random, shape: Shape, gap = 0.125): Tensor {
  const count = elementCount(shape);
  const values = Float32Array.from({ length: count }, (_, i) => (i - count / 2) * gap);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const held = values[i] ?? 0;
    values[i] = values[j] ?? 0;
    values[j] = held;
  }
  return float32Tensor(shape, values);
}
