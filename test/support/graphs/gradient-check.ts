/**
 * Checks an operator's gradient against central differences.
 *
 * The forward graph y = f(x₁, …) and the gradient graph of L = Σ r·y, with r random, are two graphs; L is summed in float64
 * outside, so that the only rounding in a difference is that of y itself. Differences have four points, an error of
 * order h⁴, and h = 2⁻⁶ unless told otherwise.
 */

import { expect } from "vitest";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import type { GraphBuilder, Node, Value } from "../../../src/ir/graph.ts";
import { float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { elementCount, type Shape } from "../../../src/ir/types.ts";
import { builderFor, type Target } from "../../../src/ops/definition.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { type Random, randomTensor, seeded } from "../random.ts";
import { loadGraph } from "./run-graph.ts";

/** Builds the operator under test: from the values of the inputs to the output. */
export type BuildForward = (b: GraphBuilder, inputs: readonly Value[]) => Value;

export interface GradientCheckOptions {
  readonly seed?: number;
  /** Distance between the points of a difference. */
  readonly step?: number;
  /** Largest difference allowed, relative to the largest gradient at hand (at least 1). */
  readonly tolerance?: number;
  /** Which inputs to differentiate by; default all. */
  readonly wanted?: readonly number[];
  readonly target?: Target;
}

/** The target that only has standard operators. */
export const genericTarget: Target = { name: "generic", blockSize: 1 };

const elementLimit = 24;
const directions = 3;

/** @throws Error that shows both numbers where a gradient differs from its central difference. */
export async function checkGradient(
  build: BuildForward,
  inputs: readonly Tensor[],
  options: GradientCheckOptions = {},
): Promise<void> {
  const { seed = 1, step = 2 ** -6, tolerance = 2e-3, target = genericTarget } = options;
  const wanted = options.wanted ?? inputs.map((_, i) => i);
  const random = seeded(seed);
  const forward = await loadForward(build, inputs, target);
  const weights = randomTensor(random, forward.shape, { low: 0.5, high: 1.5, signed: true });
  const gradients = await gradientsOf(build, inputs, weights, wanted, target);

  const lossAt = async (index: number, direction: Float32Array, distance: number): Promise<number> => {
    const moved = inputs.map((tensor, i) => (i === index ? along(tensor, direction, distance) : tensor));
    return dot(float32Data(await forward.run(moved)), float32Data(weights));
  };
  const difference = async (index: number, direction: Float32Array): Promise<number> => {
    const at = (distance: number) => lossAt(index, direction, distance);
    const near = (await at(step)) - (await at(-step));
    const far = (await at(2 * step)) - (await at(-2 * step));
    return (8 * near - far) / (12 * step);
  };

  for (const index of wanted) {
    const gradient = gradients.get(index);
    const size = elementCount(inputs[index]?.shape ?? []);
    const values = gradient === undefined ? new Float32Array(size) : float32Data(gradient);
    for (const direction of directionsFor(size, random)) {
      const expected = await difference(index, direction);
      const actual = dot(values, direction);
      const scale = Math.max(1, Math.abs(expected), dot(values.map(Math.abs), direction.map(Math.abs)));
      const where = `gradient of input ${index} along [${direction.slice(0, 8)}]: got ${actual}, difference is ${expected}`;
      expect(Math.abs(actual - expected), where).toBeLessThanOrEqual(tolerance * scale);
    }
  }
}

interface Forward {
  readonly shape: Shape;
  readonly run: (inputs: readonly Tensor[]) => Promise<Tensor>;
}

async function loadForward(build: BuildForward, inputs: readonly Tensor[], target: Target): Promise<Forward> {
  const b = builderFor(standardOperators, "forward");
  const output = build(b, declare(b, inputs));
  b.output("y", output);
  const run = await loadGraph(lowerGraph(b.finish(), standardOperators, target));
  return {
    shape: output.type.shape,
    run: async (values) => {
      const { y } = await run(feedsOf(values));
      if (y === undefined) throw new Error("the forward graph has no output");
      return y;
    },
  };
}

/** The gradients of Σ weights·y by the wanted inputs, as the compiler derives and the engine computes them. */
export async function gradientsOf(
  build: BuildForward,
  inputs: readonly Tensor[],
  weights: Tensor,
  wanted: readonly number[] = inputs.map((_, i) => i),
  target: Target = genericTarget,
): Promise<Map<number, Tensor>> {
  const b = builderFor(standardOperators, "gradient");
  const values = declare(b, inputs);
  const factor = b.input("weights", weights);
  const loss = reduceSum(b, multiply(b, build(b, values), factor), undefined, { keepDimensions: false });
  const chosen = wanted.flatMap((index) => values[index] ?? []);
  const gradients = differentiate(b, standardOperators, nodesBehind(b, loss), loss, chosen);
  wanted.forEach((index) => {
    const gradient = gradients.get(values[index] ?? loss);
    if (gradient !== undefined) b.output(`gradient${index}`, gradient);
  });
  if (gradients.size === 0) return new Map();
  const run = await loadGraph(lowerGraph(b.finish(), standardOperators, target));
  const results = await run({ ...feedsOf(inputs), weights });
  return new Map(
    wanted.flatMap((index) => {
      const tensor = results[`gradient${index}`];
      return tensor === undefined ? [] : [[index, tensor] as const];
    }),
  );
}

/** The nodes that a value depends on, in the order in which they run. */
export function nodesBehind(b: GraphBuilder, value: Value): Node[] {
  const found = new Set<Node>();
  const visit = (current: Value | undefined): void => {
    const producer = current === undefined ? undefined : b.producerOf(current);
    if (producer === undefined || found.has(producer)) return;
    producer.inputs.forEach(visit);
    found.add(producer);
  };
  visit(value);
  return [...found];
}

function declare(b: GraphBuilder, inputs: readonly Tensor[]): Value[] {
  return inputs.map(({ dtype, shape }, i) => b.input(`x${i}`, { dtype, shape }));
}

function feedsOf(inputs: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(inputs.map((tensor, i) => [`x${i}`, tensor]));
}

function along(tensor: Tensor, direction: Float32Array, distance: number): Tensor {
  const data = float32Data(tensor);
  return float32Tensor(
    tensor.shape,
    data.map((value, i) => value + distance * (direction[i] ?? 0)),
  );
}

/** Every element for small tensors, and some random directions of ±1. */
function* directionsFor(size: number, random: Random): Generator<Float32Array> {
  if (size <= elementLimit) {
    for (let i = 0; i < size; i++) {
      const direction = new Float32Array(size);
      direction[i] = 1;
      yield direction;
    }
  }
  for (let i = 0; i < directions; i++) {
    yield Float32Array.from({ length: size }, () => (random() < 0.5 ? -1 : 1));
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
