/**
 * LSTM, GRU and RNN written out over time against torch and the engine's own kernels: outputs and gradients of
 * vectors/recurrent.json (see vectors/recurrent.py), and gradients against central differences.
 */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { addForward, trainingMode } from "../../src/compile/build/forward.ts";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { differentiate } from "../../src/compile/passes/differentiate.ts";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import { type ImportedNetwork, importOnnx } from "../../src/importer/import.ts";
import type { Value } from "../../src/ir/graph.ts";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { add, multiply } from "../../src/ops/families/elementwise.ts";
import { reduceSum } from "../../src/ops/families/reduce.ts";
import { genericTarget } from "../../src/ops/targets.ts";
import { emit } from "../../src/runtime/job.ts";
import { type PackedTensor, unpackTensor } from "../support/golden.ts";
import { distance, runFloats } from "../support/onnx/imported.ts";
import { seeded } from "../support/random.ts";

type Tensors = Readonly<Record<string, PackedTensor>>;

interface Case {
  readonly name: string;
  readonly model: string;
  readonly inputs: Tensors;
  readonly outputs: Tensors;
  readonly weights: Tensors;
  readonly gradients: Tensors;
}

const { cases }: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL("vectors/recurrent.json", import.meta.url), "utf8"),
);

const unpacked = (tensors: Tensors): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, unpackTensor(tensor)]));

/** The loss of a case and its gradients by the parameters and the data, as one graph. */
function gradientGraph(network: ImportedNetwork, weights: Readonly<Record<string, Tensor>>): Uint8Array {
  const builder = newBuilder("gradients");
  const inputs = new Map<string, Value>(
    network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]),
  );
  const { outputs } = addForward(builder, network, inputs, trainingMode);
  const parts = [...outputs].map(([name, value]) => {
    const weight = weights[name];
    if (weight === undefined) throw new Error(`no weights for ${name}`);
    return reduceSum(builder, multiply(builder, value, builder.constant(weight)), undefined, { keepDimensions: false });
  });
  const loss = parts.reduce((sum, each) => add(builder, sum, each));
  builder.output("loss", loss);
  for (const [value, gradient] of differentiate(builder, operators, builder.nodes, loss, [...inputs.values()])) {
    builder.output(`d ${value.name}`, gradient);
  }
  return emit(builder.finish(), genericTarget);
}

/** Rows of a stored tensor [directions, rows, …] of one direction, in gates. */
interface Rows {
  readonly of: "w" | "r" | "b";
  readonly from: number;
  readonly to: number;
}

const gateCounts = { LSTM: 4, GRU: 3, RNN: 1 } as const;

/** What part of the stored tensors a parameter of the written-out layer is; of a bias all that are added up in it. */
function rowsOf(op: keyof typeof gateCounts, purpose: string, kind: string): readonly Rows[] {
  const count = gateCounts[op];
  const [from, to] = op !== "GRU" ? [0, count] : purpose.includes("candidate") ? [2, 3] : [0, 2];
  const isState = purpose.includes("recurrent");
  if (kind === "weight") return [{ of: isState ? "r" : "w", from, to }];
  const own = isState ? { of: "b", from: count + from, to: count + to } : { of: "b", from, to };
  return [own as Rows];
}

function partOf(tensor: PackedTensor | undefined, { from, to }: Rows, d: number, hidden: number): number[] {
  if (tensor === undefined) throw new Error("the case has no such gradient");
  const [directions = 1] = tensor.shape;
  const columns = tensor.shape[2] ?? 1;
  const all = float32Data(unpackTensor(tensor));
  const own = all.subarray((d * all.length) / directions, ((d + 1) * all.length) / directions);
  return Array.from(own.subarray(from * hidden * columns, to * hidden * columns));
}

describe.each(cases)("$name", ({ name, model, inputs, outputs, weights, gradients }) => {
  const bytes = Uint8Array.from(Buffer.from(model, "base64"));
  const op = (["LSTM", "GRU", "RNN"] as const).find((each) => name.startsWith(each)) ?? "RNN";
  const hidden = gradients.r?.shape[2] ?? 1;
  const data = unpacked(inputs);
  let network: ImportedNetwork;
  let feeds: Record<string, Tensor>;
  beforeAll(() => {
    const read = importOnnx(bytes);
    expect(read.imported.batch).toBe("any");
    expect([...read.imported.held]).toEqual([]);
    network = { ...read, ...bindBatch(read, 2) };
    feeds = { ...data, ...Object.fromEntries(network.parameters.map(({ name, value }) => [name, value])) };
  });

  it("gives the outputs of torch and of the engine's own kernel", async () => {
    expect(network.graph.nodes.some((node) => node.op === op)).toBe(false);
    const own = await runFloats(emit(network.graph, genericTarget), feeds);
    // The engine has no kernels for a batch in front.
    const engine = name.includes("batch first") ? own : await runFloats(bytes, data);
    for (const [output, expected] of Object.entries(unpacked(outputs))) {
      expect(distance(own[output], Array.from(float32Data(expected)))).toBeLessThan(1e-6);
      expect(distance(own[output], engine[output])).toBeLessThan(1e-6);
    }
  });

  it("gives the gradients of torch", async () => {
    const found = await runFloats(gradientGraph(network, unpacked(weights)), feeds);
    const close = (actual: readonly number[] | undefined, expected: readonly number[]) => {
      const largest = Math.max(1, ...expected.map(Math.abs));
      expect(distance(actual, expected) / largest).toBeLessThan(2e-6);
    };
    for (const input of Object.keys(inputs)) {
      const expected = gradients[input];
      if (expected !== undefined) close(found[`d ${input}`], Array.from(float32Data(unpackTensor(expected))));
    }
    const covered = { w: 0, r: 0, b: 0 };
    for (const { name: parameter } of network.parameters) {
      const parts = parameter.split(".");
      const d = parts.includes("reverse") && gradients.w?.shape[0] === 2 ? 1 : 0;
      for (const rows of rowsOf(op, parts.at(-2) ?? "", parts.at(-1) ?? "")) {
        const expected = partOf(gradients[rows.of], rows, d, hidden);
        covered[rows.of] += expected.length;
        close(found[`d ${parameter}`] ?? expected.map(() => 0), expected);
      }
    }
    const size = (of: string) => (gradients[of]?.shape ?? [0]).reduce((product, length) => product * length, 1);
    // With one zero step a recurrent weight meets nothing; biases of both products are one parameter where they are added.
    expect(covered.w).toBe(size("w"));
    if (!name.includes("one step")) expect(covered.r).toBe(size("r"));
  });

  // Relu has a kink, near which a difference is none of either slope.
  it.skipIf(name.includes("other functions"))("gives the gradients of central differences", async () => {
    const scores = unpacked(weights);
    const found = await runFloats(gradientGraph(network, scores), feeds);
    const forward = emit(network.graph, genericTarget);
    const lossAt = async (moved: Record<string, Tensor>): Promise<number> => {
      const results = await runFloats(forward, moved);
      return Object.entries(scores).reduce(
        (sum, [output, score]) =>
          sum + float32Data(score).reduce((part, weight, i) => part + weight * (results[output]?.[i] ?? 0), 0),
        0,
      );
    };
    const random = seeded(7);
    const directions = Object.fromEntries(
      Object.entries(feeds).map(([key, tensor]) => [
        key,
        float32Tensor(
          tensor.shape,
          float32Data(tensor).map(() => random() - 0.5),
        ),
      ]),
    );
    const along = (step: number) =>
      Object.fromEntries(
        Object.entries(feeds).map(([key, tensor]) => {
          const way = directions[key];
          const values = float32Data(tensor).map((value, i) => value + step * (way ? (float32Data(way)[i] ?? 0) : 0));
          return [key, float32Tensor(tensor.shape, values)];
        }),
      );
    const h = 2 ** -7;
    const near = (await lossAt(along(h))) - (await lossAt(along(-h)));
    const far = (await lossAt(along(2 * h))) - (await lossAt(along(-2 * h)));
    const expected = (8 * near - far) / (12 * h);
    const actual = Object.entries(directions).reduce(
      (sum, [key, way]) =>
        sum + float32Data(way).reduce((part, step, i) => part + step * (found[`d ${key}`]?.[i] ?? 0), 0),
      0,
    );
    expect(Math.abs(actual - expected)).toBeLessThan(2e-3 * Math.max(1, Math.abs(expected)));
  });
});
