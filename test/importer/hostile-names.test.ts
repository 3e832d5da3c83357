/** Names that a model gives to its parts: it computes what it computes under plain names, or is refused by the name. */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ModelProtoSchema } from "onnx-buf";
import { expect, it } from "vitest";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { onnxModel, ramp } from "../support/onnx/model.ts";

const parts = ["input", "output", "weight", "value", "node", "graph", "symbol"] as const;
type Names = Readonly<Record<(typeof parts)[number], string>>;

const plain: Names = { input: "x", output: "y", weight: "w", value: "h", node: "n", graph: "g", symbol: "N" };

const hostile = fc.string({
  minLength: 1,
  maxLength: 8,
  unit: fc.oneof(
    fc.constantFrom(
      "\u0000",
      "\u001b",
      "\n",
      "\u202e",
      "\ud800",
      "\ufeff",
      "__proto__",
      "constructor",
      "_1",
      ":0",
      "/",
    ),
    fc.constantFrom("a", "層", "é", '"', "'", "\\", " ", ".", "%s"),
  ),
});

/** A small network with these names, of which `odd` holds only those that are to be hostile. */
function modelWith(names: Names): Uint8Array {
  const bytes = onnxModel({
    inputs: { x: ["N", 4] },
    outputs: ["y"],
    nodes: [
      ["Gemm", ["x", "w"], ["h"]],
      ["Relu", ["h"], ["y"]],
    ],
    initializers: { w: ramp(4, 3) },
  });
  const model = fromBinary(ModelProtoSchema, bytes);
  const { graph } = model;
  if (graph === undefined) throw new Error("there is a graph");
  const renamed = new Map([
    ["x", names.input],
    ["y", names.output],
    ["w", names.weight],
    ["h", names.value],
  ]);
  const other = (name: string) => renamed.get(name) ?? name;
  graph.name = names.graph;
  for (const info of [...graph.input, ...graph.output, ...graph.initializer]) info.name = other(info.name);
  for (const node of graph.node) {
    node.name = names.node;
    node.input = node.input.map(other);
    node.output = node.output.map(other);
  }
  for (const { type } of graph.input) {
    if (type?.value.case !== "tensorType") continue;
    for (const { value } of type.value.value.shape?.dim ?? [])
      if (value.case === "dimParam") value.value = names.symbol;
  }
  return toBinary(ModelProtoSchema, model);
}

async function computed(model: Uint8Array): Promise<Float32Array> {
  const session = await nodeEngine({ threads: 1 }).createSession(exportOnnx(importOnnx(model)));
  const [input, output] = [session.inputNames[0] ?? "", session.outputNames[0] ?? ""];
  const y = new Float32Array(6);
  await session.run({ [input]: ramp(2, 4) }, { [output]: float32Tensor([2, 3], y) });
  await session.release();
  return y;
}

/** Whether two of a graph's values have the same name; a lone surrogate is written as U+FFFD. */
function clashes({ input, output, weight, value }: Names): boolean {
  return new Set([input, output, weight, value].map((name) => Buffer.from(name).toString())).size < 4;
}

it("a model with hostile names computes the same, or is refused by name", async () => {
  const expected = await computed(modelWith(plain));
  const names = fc.record({ part: fc.constantFrom(...parts), name: hostile });
  let computedModels = 0;
  const property = fc.asyncProperty(fc.array(names, { minLength: 1, maxLength: 4 }), async (given) => {
    const all: Names = { ...plain, ...Object.fromEntries(given.map(({ part, name }) => [part, name])) };
    fc.pre(!clashes(all));
    const engineNames = [all.input, all.output, all.weight, all.value, all.node];
    if (engineNames.some((name) => name.includes("\0") || name === "__proto__")) {
      expect(() => importOnnx(modelWith(all))).toThrow(/the name ".*" (?:holds a NUL character|is reserved)/);
      return;
    }
    expect(await computed(modelWith(all))).toEqual(expected);
    computedModels++;
  });
  await fc.assert(property, { numRuns: Number(process.env.HOSTILE_NAMES ?? 60) });
  expect(computedModels).toBeGreaterThan(10);
}, 120_000);

it("a domain with a NUL character is refused as any unknown one is", () => {
  const model = onnxModel({ inputs: { x: ["N", 4] }, outputs: ["y"], nodes: [["Relu", ["x"], ["y"], {}, "a\0b"]] });
  expect(() => importOnnx(model)).toThrow(/Relu/);
});
