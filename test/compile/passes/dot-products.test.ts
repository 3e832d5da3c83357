/** Σ dy·y of a convolution's input, taken over its weights: the same number, where it is that number. */
import { describe, expect, it } from "vitest";
import { shortenDots } from "../../../src/compile/passes/dot-products.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { type Graph, subbyteDomain } from "../../../src/ir/graph.ts";
import { float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { Shape } from "../../../src/ir/types.ts";
import { dot } from "../../../src/ops/internal/channel-ops.ts";
import { runBoth } from "../../support/graphs/lowering.ts";

function random(shape: Shape, seed: number): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return float32Tensor(
    shape,
    Array.from({ length: count }, (_, i) => Math.sin(seed * 12.9898 + i * 78.233) * 2),
  );
}

interface Case {
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
}

const y = [2, 4, 9, 8];

/** dX and dW of a convolution, and Σ dX·(its input, or another tensor). */
function gradients(attributes: Case, options: { readonly other?: boolean; readonly frozen?: boolean } = {}): Graph {
  const { strides, pads, dilations, group } = attributes;
  const size = (axis: number) =>
    Math.floor(
      ((y[axis + 2] ?? 0) + (pads[axis] ?? 0) + (pads[axis + 2] ?? 0) - 2 * (dilations[axis] ?? 1) - 1) /
        (strides[axis] ?? 1),
    ) + 1;
  const b = newBuilder("dot of a gradient");
  const dz = b.input("dz", { dtype: "float32", shape: [2, 6, size(0), size(1)] });
  const input = b.input("y", { dtype: "float32", shape: y });
  const other = b.input("other", { dtype: "float32", shape: y });
  const weight = b.input("w", { dtype: "float32", shape: [6, 4 / group, 3, 3] });
  const domain = { domain: subbyteDomain };
  const dy = b.one("ConvGradInput", [dz, weight], { ...attributes, shape: y }, domain);
  if (options.frozen !== true) {
    b.output("dw", b.one("ConvGradWeight", [dz, input], { ...attributes, shape: weight.type.shape }, domain));
  }
  b.output("dy", dy);
  b.output("sum", dot(b, dy, options.other === true ? other : input));
  return b.finish();
}

/** The number of elements that its dot product reads. */
function dotLength(graph: Graph): number | undefined {
  const node = graph.nodes.find(({ op }) => op === "Dot");
  return node?.inputs[0]?.type.shape.reduce((product, size) => product * size, 1);
}

const plain: Case = { strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 };

describe("sums of products over a convolution's input", () => {
  const cases: Record<string, Case> = {
    plain,
    "of stride 2": { ...plain, strides: [2, 2] },
    "without padding": { ...plain, pads: [0, 0, 0, 0] },
    dilated: { ...plain, dilations: [2, 1] },
    "in groups": { ...plain, group: 2 },
  };
  for (const [name, attributes] of Object.entries(cases)) {
    it(`are taken over the weights: ${name}`, async () => {
      const graph = gradients(attributes);
      expect(dotLength(shortenDots(graph))).toBe((6 * 4 * 9) / attributes.group);
      const [dz] = graph.inputs;
      if (dz === undefined) throw new Error("the graph has no inputs");
      const input = random(y, 2);
      const feeds = {
        dz: random(dz.type.shape, 1),
        y: input,
        other: random(y, 3),
        w: random([6, 4 / attributes.group, 3, 3], 4),
      };
      const { generic, cpu } = await runBoth(graph, feeds);
      for (const { dy, sum } of [generic, cpu]) {
        if (dy === undefined || sum === undefined) throw new Error("an output is missing");
        const gradient = float32Data(dy);
        const terms = Array.from(float32Data(input), (value, i) => value * (gradient[i] ?? 0));
        const exact = terms.reduce((total, term) => total + term, 0);
        const magnitude = terms.reduce((total, term) => total + Math.abs(term), 0);
        expect(Math.abs((float32Data(sum)[0] ?? Number.NaN) - exact)).toBeLessThan(2e-6 * magnitude);
      }
    });
  }

  it("stay as they are for another tensor, and where the weights have no gradient", () => {
    for (const options of [{ other: true }, { frozen: true }]) {
      const graph = gradients(plain, options);
      expect(dotLength(shortenDots(graph))).toBe(2 * 4 * 9 * 8);
    }
  });

  it("keep the graph's inputs, outputs and operators", () => {
    const graph = shortenDots(gradients(plain));
    expect(graph.inputs.map(({ name }) => name)).toEqual(["dz", "y", "other", "w"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["dw", "dy", "sum"]);
    expect(operators.has("subbyte:Dot")).toBe(true);
  });
});
