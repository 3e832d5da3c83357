/** Whether a pass keeps the numbers: both graphs run in the engine on the same random inputs. */
import { expect } from "vitest";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { operators } from "../../../src/compile/registry.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { type Tensor, toNumbers } from "../../../src/ir/tensor.ts";
import { randomTensor, seeded } from "../random.ts";
import { genericTarget } from "./gradient-check.ts";
import { runGraph } from "./run-graph.ts";

/** Random tensors for the float32 inputs of a graph, by name. */
export function randomFeeds(graph: Graph, seed: number): Record<string, Tensor> {
  const random = seeded(seed);
  return Object.fromEntries(graph.inputs.map(({ name, type }) => [name, randomTensor(random, type.shape)]));
}

/** The outputs of a graph by name, lowered to the standard's operators. */
export async function numbersOf(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, number[]>> {
  const results = await runGraph(lowerGraph(graph, operators, genericTarget), feeds, { registry: operators });
  return Object.fromEntries(
    // Without the sign of zeros, which no number that follows shows.
    Object.entries(results).map(([name, tensor]) => [name, toNumbers(tensor).map((value) => value + 0)]),
  );
}

/**
 * Expects the outputs of two graphs to be equal for random inputs.
 *
 * @param tolerance Allowed difference, relative to the output's largest element (at least 1). Default 0: the same bits.
 */
export async function expectSameNumbers(before: Graph, after: Graph, seeds: number, tolerance = 0): Promise<void> {
  expect(before.outputs.length).toBeGreaterThan(0);
  for (let seed = 0; seed < seeds; seed++) {
    const feeds = randomFeeds(before, seed);
    const [expected, actual] = [await numbersOf(before, feeds), await numbersOf(after, feeds)];
    if (tolerance === 0) expect(actual, `seed ${seed}`).toEqual(expected);
    else expectNear(actual, expected, tolerance);
  }
}

function expectNear(
  actual: Readonly<Record<string, number[]>>,
  expected: Readonly<Record<string, number[]>>,
  tolerance: number,
): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const distances = values.map((value, i) => Math.abs(value - (actual[name]?.[i] ?? Number.NaN)));
    expect(Math.max(...distances), name).toBeLessThanOrEqual(tolerance * largest);
  }
}

/** The printed graph without the attributes of quantizers, which are no subject of the passes. */
export function printWithoutSpecs(graph: Graph): string {
  return printGraph(graph).replaceAll(/(FakeQuantize\([^)]*\)) \{.*\}/g, "$1");
}
