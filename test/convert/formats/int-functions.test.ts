/** Tables by the function that they tabulate: exactly where every code is surely the same, and never elsewhere. */
import { describe, expect, it } from "vitest";
import { buildIntGraph } from "../../../src/convert/formats/int/int.ts";
import { valuesOfCodes } from "../../../src/convert/grid.ts";
import type { IntegerNetwork, TensorForm } from "../../../src/convert/integer-network.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { errorFunction } from "../../../src/ops/build/functions-of-one.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { provenOn } from "../../support/convert/agreement.ts";

const engine = nodeEngine({ threads: 1 });

/** 256 codes of the data, and a table of them. */
function tableNetwork(of: (x: number) => number, scale: number, changed = -1): IntegerNetwork {
  const input: TensorForm = { kind: "codes", low: 0, high: 255, scale: Math.fround(8 / 127), zeroPoint: 120 };
  const output: TensorForm = { kind: "codes", low: 0, high: 255, scale: Math.fround(scale), zeroPoint: 40 };
  const codes = valuesOfCodes(input).map((x) => Math.min(Math.max(Math.round(of(x) / output.scale) + 40, 0), 255));
  if (changed >= 0) codes[changed] = ((codes[changed] ?? 0) + 1) % 256;
  const shape = [1, 256];
  return {
    name: "table",
    input: { name: "x", sampleShape: [256], dtype: "float32" },
    tensors: [
      { id: 0, name: "codes", shape, form: input },
      { id: 1, name: "table", shape, form: output },
      { id: 2, name: "y", shape, form: { kind: "float", low: -Infinity, high: Infinity, scale: 1, zeroPoint: 0 } },
    ],
    operations: [
      { op: "QuantizeInput", name: "codes", output: 0, reciprocal: Math.fround(1 / input.scale) },
      { op: "TableCodes", name: "table", input: 0, output: 1, low: 0, axis: 1, tables: 1, table: codes },
      {
        op: "Dequantize",
        name: "y",
        output: 2,
        axis: 1,
        terms: [{ input: 1, shift: 0, inputScale: output.scale, gains: Float32Array.of(1) }],
      },
    ],
    outputs: [{ name: "y", tensor: 2 }],
    notes: [],
  };
}

const allCodes = float32Tensor(
  [1, 256],
  Float32Array.from({ length: 256 }, (_, i) => (i - 120) * Math.fround(8 / 127)),
);

function operatorsOf(network: IntegerNetwork): string[] {
  return buildIntGraph(network, { batchSize: 1 }).nodes.map(({ op }) => op);
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const cases: readonly (readonly [string, (x: number) => number, string])[] = [
  ["Sigmoid", sigmoid, "Sigmoid"],
  ["SiLU", (x) => x * sigmoid(x), "Sigmoid"],
  ["HardSwish", (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6, "HardSwish"],
  ["HardSigmoid", (x) => Math.min(Math.max(x + 3, 0), 6) / 6, "HardSigmoid"],
  ["LeakyRelu", (x) => (x < 0 ? Math.fround(0.1) * x : x), "LeakyRelu"],
  ["Tanh", Math.tanh, "Tanh"],
  ["Gelu", (x) => 0.5 * x * (1 + errorFunction(x * Math.SQRT1_2)), "Gelu"],
];

describe("a table in the int file", () => {
  it.each(cases)(
    "is the function that it tabulates, or a Gather, and every code is the same: %s",
    async (_, of, op) => {
      let asFunction = 0;
      for (const scale of [0.011, 0.0237, 0.0419, 0.0473, 0.0533, 0.0611]) {
        const network = tableNetwork(of, scale);
        const ops = operatorsOf(network);
        expect(ops.includes(op)).toBe(!ops.includes("Gather"));
        if (ops.includes(op)) asFunction++;
        expect((await provenOn(network, allCodes, engine)).agrees).toBe(true);
      }
      expect(asFunction).toBeGreaterThan(0);
    },
  );

  it("is a Gather where one code differs from every function", async () => {
    for (const changed of [0, 130, 255]) {
      const network = tableNetwork(sigmoid, 0.0043, changed);
      expect(operatorsOf(network)).toContain("Gather");
      expect((await provenOn(network, allCodes, engine)).agrees).toBe(true);
    }
  });

  it("is a Gather where a code lies on a border, which a float could move", () => {
    // 8/127·20 is 20 steps of the input; the output's step is twice as large, so that every other code is a half.
    expect(operatorsOf(tableNetwork((x) => (x < 0 ? 0.2 * x : x), 16 / 127))).toContain("Gather");
  });
});
