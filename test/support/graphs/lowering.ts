/** Runs a graph by the generic and by the cpu lowering, as the engine at hand wants it, and compares the outputs. */

import { expect } from "vitest";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { operators } from "../../../src/compile/registry.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { float32Data, type Tensor } from "../../../src/ir/tensor.ts";
import type { Target } from "../../../src/ops/definition.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { genericTarget } from "./gradient-check.ts";
import { runGraph } from "./run-graph.ts";

/** The target that the engine was found to execute. */
export const cpuTarget: Target = await nodeEngine({ threads: 1 }).target();

/** Channels that fill a block; where the engine has no blocks, some number of channels. */
export const block = Math.max(cpuTarget.blockSize, 4);

type Tensors = Readonly<Record<string, Tensor>>;

/** The outputs by both lowerings. */
export async function runBoth(graph: Graph, feeds: Tensors): Promise<{ generic: Tensors; cpu: Tensors }> {
  const run = (target: Target) => runGraph(lowerGraph(graph, operators, target), feeds, { registry: operators });
  const [generic, cpu] = await Promise.all([run(genericTarget), run(cpuTarget)]);
  return { generic, cpu };
}

/** Expects every output to differ by at most `tolerance`, relative to its largest element (at least 1). */
export async function expectAgreement(graph: Graph, feeds: Tensors, tolerance: number, what: string): Promise<void> {
  const { generic, cpu } = await runBoth(graph, feeds);
  for (const { name } of graph.outputs) {
    expect(largestDifference(generic[name], cpu[name]), `${name} of ${what}`).toBeLessThanOrEqual(tolerance);
  }
}

function largestDifference(expected: Tensor | undefined, actual: Tensor | undefined): number {
  if (expected === undefined || actual === undefined) return Number.NaN;
  const [a, b] = [float32Data(expected), float32Data(actual)];
  let difference = 0;
  let scale = 1;
  a.forEach((value, i) => {
    scale = Math.max(scale, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - (b[i] ?? Number.NaN)));
  });
  return difference / scale;
}
