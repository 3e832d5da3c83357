/**
 * Networks into which operators are planted that are not known, have no gradient or have no integer form, 1 to 5 at random places: every
 * one is named at once, and nothing else. REFUSED=FROM:COUNT plants by other seeds.
 */

import { describe, expect, it } from "vitest";
import { integerObstacles } from "../../src/convert/obstacles.ts";
import { UnsupportedError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { gradientObstacles } from "../../src/importer/trainability.ts";
import { int64Tensor } from "../../src/ir/tensor.ts";
import { readOpsets } from "../../src/onnx/read/opsets.ts";
import { requireGradients } from "../../src/train/fit/untrained-parts.ts";
import { capture } from "../support/machine/capture.ts";
import { type FileText, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";
import { seeded } from "../support/random.ts";

const [from = 1, count = 12] = (process.env.REFUSED ?? "1:12").split(":").map(Number);
const seeds = Array.from({ length: count }, (_, i) => from + i);

interface Planted {
  readonly bytes: Uint8Array;
  /** Names of the planted nodes, in the order of the graph. */
  readonly names: readonly string[];
}

/** x·W and Relu, again and again; some of the steps are planted nodes. */
function plant(seed: number, make: (x: string, y: string, i: number) => readonly NodeText[]): Planted {
  const random = seeded(seed);
  const steps = 3 + Math.floor(random() * 6);
  const wanted = 1 + Math.floor(random() * 5);
  const places = new Set(Array.from({ length: wanted }, () => Math.floor(random() * steps)));
  const nodes: NodeText[] = [];
  const names: string[] = [];
  let x = "x";
  for (let i = 0; i < steps; i++) {
    nodes.push(["MatMul", [x, `w${i}`], [`m${i}`]], ["Relu", [`m${i}`], [`r${i}`]]);
    x = `r${i}`;
    if (!places.has(i)) continue;
    const planted = make(x, `p${i}`, i);
    names.push(`${planted[0]?.[0]}_${nodes.length}`);
    nodes.push(...planted);
    x = `p${i}`;
  }
  nodes.push(["MatMul", [x, "w"], ["y"]]);
  const weights = Array.from({ length: steps }, (_, i) => [`w${i}`, ramp(6, 6)] as const);
  const bytes = onnxModel({
    inputs: { x: ["N", 6] },
    outputs: ["y"],
    nodes,
    initializers: {
      ...Object.fromEntries(weights),
      w: ramp(6, 4),
      places: int64Tensor([0, 1, 2, 3, 4, 5], [1, 6]),
      axis: int64Tensor([1], []),
    },
  } satisfies FileText);
  return { bytes, names };
}

function errorOf(action: () => unknown): UnsupportedError {
  try {
    action();
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const unknown = ["Frobnicate", "NonMaxSuppression", "Softmaxx", "Scan", "StringSplit"];

describe("all that is refused is named at once", () => {
  it.each(seeds)("unknown operators, seed %i", (seed) => {
    const { bytes, names } = plant(seed, (x, y, i) => [[unknown[(seed + i) % unknown.length] ?? "", [x], [y]]]);
    const error = errorOf(() => importOnnx(bytes, { source: "net.onnx" }));
    expect(error.exitCode).toBe(3);
    expect(error.where).toBe("net.onnx");
    expect(error.message).toMatch(new RegExp(`^${names.length} nodes? ha`));
    for (const name of names) expect(error.message).toContain(name);
  });

  it.each(seeds)("nodes without a gradient, seed %i", (seed) => {
    // The reduction to the largest has no gradient.
    const { bytes, names } = plant(seed, (x, y) => [
      ["ScatterElements", [x, "places", x], [y], { axis: 1, reduction: "max" }],
    ]);
    const network = importOnnx(bytes);
    expect(gradientObstacles(network).map(({ node }) => node.name)).toEqual(names);
    const error = errorOf(() => requireGradients(network, { model: { file: "net.onnx", restoreBatchNorm: true } }));
    expect(error.exitCode).toBe(3);
    expect(error.message).toMatch(/^\d+ nodes? ha\w+ no gradient, so that the parameters before would not be trained:/);
    for (const name of names) expect(error.message).toContain(name);
    const model = { file: "net.onnx", restoreBatchNorm: true, allowFrozen: true } as const;
    expect(() => requireGradients(network, { model })).not.toThrow();
  });

  it.each(seeds)("nodes without an integer form, seed %i", (seed) => {
    const { bytes, names } = plant(seed, (x, y) => [["CumSum", [x, "axis"], [y]]]);
    const found = integerObstacles(importOnnx(bytes));
    expect(found.map(({ name }) => name)).toEqual(names);
    expect(found.every(({ remedy }) => remedy !== undefined)).toBe(true);
  });
});

it("says what is nearest to an operator that is not known", () => {
  const text: FileText = {
    inputs: { x: ["N", 6] },
    outputs: ["y"],
    nodes: [
      ["Softmaxx", ["x"], ["a"]],
      ["NonMaxSuppression", ["a"], ["y"]],
    ],
    initializers: {},
  };
  const { message, remedy } = errorOf(() => importOnnx(onnxModel(text)));
  expect(message).toContain("The operator with the most similar name that it knows is Softmax.");
  expect(message).toContain("Export the raw outputs, without what chooses among them");
  expect(remedy).toContain("docs/OPS.md");
});

it("names the opsets that the importer reads in the help", async () => {
  const { stdout } = await capture("import", "--help");
  expect(stdout).toContain(`Reads opset ${readOpsets.from} to ${readOpsets.to},`);
});
