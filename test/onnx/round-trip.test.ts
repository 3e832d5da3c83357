import fc from "fast-check";
import ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/ir/graph.ts";
import { printGraph } from "../../src/ir/print.ts";
import { makeTensor, packBits, toNumbers, unpackBits } from "../../src/ir/tensor.ts";
import { readOnnx } from "../../src/onnx/read/read.ts";
import { allDtypes, dtypeToOnnx } from "../../src/onnx/wire/proto.ts";
import { writeOnnx } from "../../src/onnx/write/write.ts";
import { tinyInfer } from "../support/graphs/infer.ts";
import { anyGraph, anyTensor, difference, tensorOf } from "../support/graphs/random.ts";
import { verifyGraph } from "../support/graphs/verify.ts";

const packedTypes = ["int4", "uint4", "int2", "uint2"] as const;
const anyPacked = fc
  .constantFrom(...packedTypes)
  .chain((dtype) => fc.tuple(fc.constant(dtype), fc.array(fc.integer(rangeOf(dtype)), { maxLength: 40 })));

function rangeOf(dtype: (typeof packedTypes)[number]): { min: number; max: number } {
  return {
    int4: { min: -8, max: 7 },
    uint4: { min: 0, max: 15 },
    int2: { min: -2, max: 1 },
    uint2: { min: 0, max: 3 },
  }[dtype];
}

describe("write, then read", () => {
  test("random graphs come back as the same network, and keep all rules", () => {
    fc.assert(
      fc.property(anyGraph(), (graph) => {
        verifyGraph(graph, tinyInfer);
        const { graph: again } = readOnnx(writeOnnx(graph), tinyInfer);
        verifyGraph(again, tinyInfer);
        expect(difference(graph, again)).toBeUndefined();
        // Names and copies settle in the first file: the second differs in nothing.
        expect(printGraph(readOnnx(writeOnnx(again), tinyInfer).graph)).toBe(printGraph(again));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("constants of every element type keep every bit", () => {
    fc.assert(
      fc.property(anyTensor, (tensor) => {
        const builder = new GraphBuilder("constant", tinyInfer);
        builder.output("y", builder.constant(tensor));
        const graph = builder.finish();
        expect(difference(graph, readOnnx(writeOnnx(graph), tinyInfer).graph)).toBeUndefined();
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test("opset, domains, metadata and producer are reported", () => {
    const builder = new GraphBuilder("g", tinyInfer);
    const x = builder.input("x", { dtype: "float32", shape: [1] });
    builder.output("y", builder.one("Probe", [x], {}, { domain: "subbyte" }));
    const bytes = writeOnnx(builder.finish(), {
      opset: 22,
      producer: "test",
      domains: { subbyte: 7, "com.example": 3 },
      metadata: new Map([["subbyte.bits", "4"]]),
    });
    const model = readOnnx(bytes, tinyInfer);
    expect([...model.opset]).toEqual([
      ["", 22],
      ["subbyte", 7],
    ]);
    expect([...model.metadata]).toEqual([["subbyte.bits", "4"]]);
    expect(model.producer).toBe("test");
  });
});

describe("packing", () => {
  test("unpacking undoes packing", () => {
    fc.assert(
      fc.property(anyPacked, ([dtype, values]) => {
        expect([...unpackBits(packBits(values, dtype), dtype, values.length)]).toEqual(values);
      }),
      { seed: 3 },
    );
  });

  test("values outside of the type are refused", () => {
    for (const dtype of packedTypes) {
      const { min, max } = rangeOf(dtype);
      for (const value of [min - 1, max + 1, 0.5, Number.NaN])
        expect(() => packBits([value], dtype)).toThrow(/does not fit/);
    }
  });
});

/** Runs a graph without inputs and returns its output. */
async function run(bytes: Uint8Array): Promise<ArrayLike<unknown>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const { y } = await session.run({});
  await session.release();
  if (y === undefined || ArrayBuffer.isView(y.data) === Array.isArray(y.data)) throw new Error("no output y");
  return y.data;
}

describe("ONNX Runtime reads the files", () => {
  test.each(packedTypes)("DequantizeLinear of %s initializers gives the packed values", async (dtype) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer(rangeOf(dtype)), { minLength: 1, maxLength: 20 }), async (values) => {
        const builder = new GraphBuilder("dequantize", tinyInfer);
        const codes = builder.constant(makeTensor(dtype, [values.length], packBits(values, dtype)));
        builder.output("y", builder.one("DequantizeLinear", [codes, builder.scalar(0.25)]));
        const result = await run(writeOnnx(builder.finish()));
        expect(Array.from(result, Number)).toEqual(values.map((value) => value / 4));
      }),
      { seed: 4, numRuns: 20 },
    );
  });

  const castable = allDtypes().filter(
    (dtype) => dtype !== "string" && dtype !== "float4e2m1" && dtype !== "float8e8m0",
  );
  test.each(castable)("Cast of a %s initializer to float32", async (dtype) => {
    const tensor = tensorOf(dtype, [5], 77);
    const builder = new GraphBuilder("cast", tinyInfer);
    builder.output("y", builder.one("Cast", [builder.constant(tensor)], { to: dtypeToOnnx("float32") }));
    const result = Array.from(await run(writeOnnx(builder.finish())), Number);
    expect(result).toHaveLength(5);
    if (/^(u?int|bool|float32|float64)/.test(dtype)) expect(result).toEqual(toNumbers(tensor).map(Math.fround));
  });

  test("random graphs of standard operators load and give outputs of the inferred shapes", async () => {
    await fc.assert(
      fc.asyncProperty(anyGraph(true), async (graph) => {
        const session = await ort.InferenceSession.create(writeOnnx(graph), { logSeverityLevel: 3 });
        expect(session.inputNames).toEqual(["x", "w"]);
        const feed = new ort.Tensor("float32", Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
        const results = await session.run({ x: feed, w: feed });
        await session.release();
        for (const { name, value } of graph.outputs) {
          expect(results[name]?.type).toBe(value.type.dtype);
          expect(results[name]?.dims).toEqual(value.type.shape);
        }
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});
