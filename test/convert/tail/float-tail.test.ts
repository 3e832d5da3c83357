/** What stays in float behind the last layer: never a refusal, and the same numbers from every program that holds it. */
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { buildCProgram } from "../../../src/convert/formats/c/program.ts";
import { buildIntGraph } from "../../../src/convert/formats/int/int.ts";
import { buildQdqGraph } from "../../../src/convert/formats/qdq.ts";
import { buildQonnxGraph } from "../../../src/convert/formats/qonnx.ts";
import { integerObstacles } from "../../../src/convert/obstacles.ts";
import { UnsupportedError } from "../../../src/errors.ts";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { sigmoid } from "../../../src/ops/families/activations.ts";
import { multiply } from "../../../src/ops/families/elementwise.ts";
import { averagePool } from "../../../src/ops/families/pool.ts";
import { concat, reshape, split } from "../../../src/ops/families/shape/shape-ops.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { convertibleConfig, provenOn } from "../../support/convert/agreement.ts";
import { quantizedWith } from "../../support/convert/random/network.ts";
import { randomTensor, seeded, seededParameters } from "../../support/random.ts";

const config = convertibleConfig("minmax", { weightBits: 4, activationBits: 4 }, 8);
const data = randomTensor(seeded(3), [4, 2, 6, 6], { low: -2, high: 2 });
const engine = nodeEngine({ threads: 1 });

const softmax = (b: GraphBuilder, x: Value): Value => b.one("Softmax", [x], { axis: 1 });

/** Two convolutions, and what follows them. */
function network(end: (made: NetworkBuilder, x: Value, y: Value) => Value[]): Network {
  const made = new NetworkBuilder("small", seededParameters(1));
  const x = made.builder.one("Relu", [made.conv("first", made.input("images", [2, 6, 6]), 4, { kernel: 3 })]);
  const [y, z] = ["box", "class"].map((name) => made.conv(name, x, 4, { kernel: 1, bias: true }));
  if (y === undefined || z === undefined) throw new Error("there are no convolutions");
  const [first, ...others] = end(made, y, z);
  if (first === undefined) throw new Error("there is no output");
  others.forEach((value, i) => {
    made.builder.output(`extra${i}`, value);
  });
  return made.finish(first);
}

/** A decoding: expected places by a Softmax, scores by a Sigmoid. */
const decoding = ({ builder: b }: NetworkBuilder, x: Value, y: Value): Value[] => {
  const joined = concat(b, [reshape(b, x, [0, 4, 16]), reshape(b, y, [0, 4, 16])], 2);
  const [boxes, scores] = split(b, joined, 2, [16, 16]);
  if (boxes === undefined || scores === undefined) throw new Error("there are no parts");
  const weights = b.constant(float32Tensor([1, 4, 1], Float32Array.of(0, 1, 2, 3)));
  const places = multiply(b, softmax(b, boxes), weights);
  return [concat(b, [places, sigmoid(b, scores)], 1)];
};

async function converted(float: Network) {
  return convert(await quantizedWith(float, config, data), { input: { dtype: "float32" } });
}

describe("a float tail", () => {
  it("holds what has no integer form, and what moves elements before it", async () => {
    const made = await converted(network(decoding));
    expect(made.tail?.refused.map(({ op }) => op)).toEqual(expect.arrayContaining(["Softmax"]));
    expect(made.outputs).toHaveLength(2);
    expect(made.operations.filter(({ op }) => op === "Dequantize")).toHaveLength(2);
    expect(made.operations.some(({ op }) => op === "ConcatCodes" || op === "MoveCodes")).toBe(false);
    expect(made.notes.map(({ kind }) => kind)).toContain("float tail");
    const tail = made.tail?.network.graph;
    expect(tail?.outputs).toHaveLength(1);
    expect(tail?.inputs.map(({ name }) => name)).toEqual(made.outputs.map(({ name }) => name));
  });

  it("gives the same numbers in the exact evaluation and in the int file", async () => {
    const proof = await provenOn(await converted(network(decoding)), data, engine);
    expect(proof.programs.map(({ mismatches }) => mismatches)).toEqual([0, 0]);
    // The file has one more than the interpreter: what the tail gives.
    expect((proof.programs[0]?.layers ?? 0) - (proof.programs[1]?.layers ?? 0)).toBe(1);
  });

  it("is part of ONNX files, and not of the others", async () => {
    const made = await converted(network(decoding));
    const ops = (graph: { readonly nodes: readonly { readonly op: string }[] }) => graph.nodes.map(({ op }) => op);
    expect(ops(buildIntGraph(made, { batchSize: 2 }))).toContain("Softmax");
    expect(ops(buildQdqGraph(made, { batchSize: 2, types: "native" }))).toContain("Softmax");
    expect(ops(buildQonnxGraph(made, { batchSize: 2, tail: false }))).not.toContain("Softmax");
    const { header } = buildCProgram(made);
    for (const { name } of made.outputs) expect(header).toContain(`out_${name}`);
    expect(header).toContain("Softmax");
  });

  it("leaves several outputs in their order", async () => {
    const made = await converted(network(({ builder: b }, x, y) => [softmax(b, x), y]));
    const float = made.tail?.results.map(({ name }) => name);
    expect(buildIntGraph(made, { batchSize: 1 }).outputs.map(({ name }) => name)).toEqual(float);
    expect(made.tail?.results.map(({ isDirect }) => isDirect)).toEqual([true, false]);
    const proof = await provenOn(made, data, engine);
    expect(proof.agrees).toBe(true);
  });

  it("may hold quantizers of its own", async () => {
    const made = await converted(
      network(({ builder: b }, x) => [averagePool(b, softmax(b, x), { kernel: [2, 2], strides: [2, 2] })]),
    );
    expect((await provenOn(made, data, engine)).agrees).toBe(true);
  });

  it("is none where only sums and integers end the network", async () => {
    const made = await converted(network((_, x, y) => [x, y]));
    expect(made.tail).toBeUndefined();
    expect(made.outputs).toHaveLength(2);
  });

  it("never holds what a layer follows", () => {
    const hardmax = (b: GraphBuilder, x: Value): Value => b.one("Hardmax", [x], { axis: 1 });
    const float = network((made, x) => [made.conv("last", hardmax(made.builder, x), 2, { kernel: 1 })]);
    expect(integerObstacles(float).map(({ op }) => op)).toEqual(["Hardmax"]);
  });

  it("never holds a layer itself", async () => {
    const last = { ...config, lastLayer: "float" } as const;
    const quantized = await quantizedWith(
      network((_, x) => [x]),
      last,
      data,
    );
    expect(() => convert(quantized, { input: { dtype: "float32" } })).toThrow(UnsupportedError);
  });
});
