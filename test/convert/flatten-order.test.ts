/** The flattening of channels last: gone where only a dense layer sees it, kept where anything else does. */
import { describe, expect, it } from "vitest";
import { withFlattensInOrder } from "../../src/convert/flatten-order.ts";
import type { Value } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { elementCount } from "../../src/ir/types.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { clip } from "../../src/ops/families/activations.ts";
import { transpose } from "../../src/ops/families/shape/shape-ops.ts";
import { runGraph } from "../support/graphs/run-graph.ts";
import { seeded } from "../support/random.ts";

const random = seeded(3);
const shape = [1, 3, 2, 2];
const features = 12;

/** Small whole numbers: their sums are the same in any order. */
function wholeNumbers(wanted: readonly number[]): Tensor {
  return float32Tensor(
    wanted,
    Float32Array.from({ length: elementCount(wanted) }, () => Math.floor(9 * random()) - 4),
  );
}

interface Case {
  readonly flatten: "Flatten" | "Reshape";
  readonly between: "nothing" | "Relu" | "Clip" | "Identity" | "Dropout" | "Softmax";
  readonly layer: "Gemm" | "Gemm, transB" | "Gemm, transA" | "MatMul";
}

function networkOf({ flatten, between, layer }: Case): Network {
  const network = new NetworkBuilder("channels last", { uniform: random, normal: random });
  const { builder } = network;
  const last = transpose(builder, network.input("x", shape.slice(1)), [0, 2, 3, 1]);
  const row =
    flatten === "Flatten"
      ? builder.one("Flatten", [last], { axis: 1 })
      : builder.one("Reshape", [last, builder.constant(int64Tensor([1, features]))]);
  const activated =
    between === "nothing" ? row : between === "Clip" ? clip(builder, row, 0, 3) : builder.one(between, [row]);
  const weightShape = layer === "Gemm, transB" ? [5, features] : layer === "Gemm, transA" ? [1, 5] : [features, 5];
  const weight = network.parameter("w", "weight", wholeNumbers(weightShape));
  const read: Value[] = [activated, weight];
  const flags = { transA: layer === "Gemm, transA" ? 1 : 0, transB: layer === "Gemm, transB" ? 1 : 0 };
  return network.finish(layer === "MatMul" ? builder.one("MatMul", read) : builder.one("Gemm", read, flags));
}

function runNetwork({ graph, parameters }: Network, x: Tensor) {
  return runGraph(graph, { x, ...Object.fromEntries(parameters.map(({ name, value }) => [name, value])) });
}

const hasTranspose = ({ graph }: Network) => graph.nodes.some(({ op }) => op === "Transpose");

describe("withFlattensInOrder", () => {
  const layers = ["Gemm", "Gemm, transB", "MatMul"] as const;
  const steps = ["nothing", "Relu", "Clip", "Identity", "Dropout"] as const;
  const cases = layers.flatMap((layer) =>
    steps.flatMap((between) => (["Flatten", "Reshape"] as const).map((flatten) => ({ flatten, between, layer }))),
  );

  it.each(cases)("puts the weights in order: $flatten, $between, $layer", async (each) => {
    const network = networkOf(each);
    const inOrder = withFlattensInOrder({ ...network, sites: [] });
    expect(hasTranspose(network)).toBe(true);
    expect(hasTranspose(inOrder)).toBe(false);
    const x = wholeNumbers(shape);
    expect(await runNetwork(inOrder, x)).toEqual(await runNetwork(network, x));
  });

  it.each([
    { flatten: "Flatten", between: "Softmax", layer: "Gemm" },
    { flatten: "Flatten", between: "nothing", layer: "Gemm, transA" },
  ] as const)("leaves $flatten, $between, $layer as they are", (each) => {
    const network = { ...networkOf(each), sites: [] };
    expect(withFlattensInOrder(network)).toBe(network);
  });
});
