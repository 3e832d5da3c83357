/** A quantizer's spec as an attribute: kept as it is by everything that handles attributes. */
import { describe, expect, it } from "vitest";
import { copyNodes } from "../../src/compile/passes/copy.ts";
import { inferTypes, newBuilder } from "../../src/compile/registry.ts";
import { GraphError } from "../../src/errors.ts";
import type { Graph, Value } from "../../src/ir/graph.ts";
import { printGraph } from "../../src/ir/print.ts";
import type { QuantizerSpec } from "../../src/ir/quantizer-spec.ts";
import { writeOnnx } from "../../src/onnx/write/write.ts";
import { fakeQuantize, specOf } from "../../src/quantizers/fake-quantize.ts";
import { verifyGraph } from "../support/graphs/verify.ts";
import { specFor } from "../support/training/quantizer.ts";

const perChannel = specFor("lsq", 4, true, { gradientScale: "none" }, { channelAxis: 0 });

function graphOf(...specs: readonly QuantizerSpec[]): Graph {
  const builder = newBuilder("quantizers");
  const x = builder.input("x", { dtype: "float32", shape: [2, 3] });
  const scale = builder.input("scale", { dtype: "float32", shape: [2] });
  specs.forEach((spec, i) => {
    builder.output(`y${i}`, fakeQuantize(builder, x, spec, { scale }));
  });
  return builder.finish();
}

describe("the spec of a FakeQuantize node", () => {
  it("is the one that it was made with, no copy of it", () => {
    const [node] = graphOf(perChannel).nodes;
    expect(node === undefined ? undefined : specOf(node)).toBe(perChannel);
  });

  it("is refused where another attribute stands for it", () => {
    const source = { op: "FakeQuantize", name: "q", attributes: { spec: JSON.stringify(perChannel) } };
    expect(() => specOf(source)).toThrow(GraphError);
    expect(() => specOf({ ...source, attributes: {} })).toThrow(GraphError);
  });

  it("tells nodes apart: equal specs are one node, others are two", () => {
    expect(graphOf(perChannel, structuredClone(perChannel)).nodes).toHaveLength(1);
    expect(graphOf(perChannel, { ...perChannel, bits: 3 }).nodes).toHaveLength(2);
    expect(graphOf(perChannel, { ...perChannel, options: {} }).nodes).toHaveLength(2);
  });

  it("survives a copy", () => {
    const graph = graphOf(perChannel);
    const builder = newBuilder("copy");
    const map = new Map<Value, Value>(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
    copyNodes(graph, builder, map);
    expect(builder.nodes.map(specOf)).toEqual([perChannel]);
  });

  it("is printed in words", () => {
    expect(printGraph(graphOf(perChannel))).toContain('lsq(-8..7, 4 bits, axis 0, {"gradientScale":"none"})');
    expect(printGraph(graphOf({ ...perChannel, options: {} }))).toContain("lsq(-8..7, 4 bits, axis 0)");
  });

  it("is verified: bits and codes are whole numbers, and there is a code to choose", () => {
    expect(() => verifyGraph(graphOf(perChannel), inferTypes)).not.toThrow();
    for (const broken of [{ bits: 4.5 }, { quantMin: Number.NaN }, { quantMax: -8 }]) {
      expect(() => verifyGraph(graphOf({ ...perChannel, ...broken }), inferTypes)).toThrow(/finite attributes/);
    }
  });

  it("has no form in a file: a graph is lowered before it is written", () => {
    expect(() => writeOnnx(graphOf(perChannel))).toThrow(/spec of a quantizer/);
  });
});
