/**
 * QONNX files: the graph is what it should be; and, where a Python with the `qonnx` package is named by SUBBYTE_QONNX_PYTHON, that
 * package computes the same codes.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildQonnxGraph } from "../../../src/convert/formats/qonnx.ts";
import { codeOutput } from "../../../src/convert/formula-graph.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { float32Data } from "../../../src/ir/tensor.ts";
import { writeOnnx } from "../../../src/onnx/write/write.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { convertedRandom, residualNetwork } from "../../support/convert/descriptions.ts";
import type { NetworkDescription } from "../../support/convert/random/network.ts";

const halved = residualNetwork("relu6");
const description: NetworkDescription = {
  ...halved,
  layers: [
    ...halved.layers,
    {
      ...{ kind: "maxPool", channels: 1, kernel: 1, stride: 2, grouping: "none" },
      ...{ bias: false, norm: false, activation: "none" },
    },
  ],
};

async function model(preset: string, bits: number) {
  const config = { ...presetNamed(preset, { weightBits: bits, activationBits: bits }), residualBits: 8 };
  const { converted: network, data } = await convertedRandom(description, { ...config, placement: "fused" });
  const input = float32Data(data).subarray(0, 3 * 8 * 7);
  const results = interpret(network, input);
  const outputs = Object.fromEntries(
    network.tensors.flatMap(({ id, name, form }) => {
      if (form.kind === "accumulator") return [];
      const output = network.outputs.find(({ tensor }) => tensor === id);
      return [[output?.name ?? codeOutput(id, name), Array.from(results[id] ?? [])]];
    }),
  );
  return { network, expected: { input: Array.from(input), outputs } };
}

const cases = [
  ["lsq", 4],
  ["lsq", 2],
  ["minmax", 3],
  ["minmax", 8],
] as const;

describe("a QONNX file", () => {
  it("says of every weight and activation how many bits it has", async () => {
    const { network } = await model("lsq", 3);
    const graph = buildQonnxGraph(network, { batchSize: 1 });
    const widths = graph.nodes.flatMap((node) => {
      const bits = node.op === "Quant" ? node.inputs[3] : undefined;
      return bits === undefined ? [] : [Number(graph.constants.get(bits)?.data[0])];
    });
    expect(widths.length).toBeGreaterThan(10);
    // 3 bits inside, 8 at both ends and on the skip branch, and the wide codes that the average needs.
    expect([...new Set(widths)].filter((bits) => bits < 16).sort()).toEqual([3, 8]);
  });

  const python = process.env.SUBBYTE_QONNX_PYTHON;
  it.skipIf(python === undefined)("computes the same codes in the qonnx package", async () => {
    const folder = mkdtempSync(join(tmpdir(), "subbyte-qonnx-"));
    for (const [preset, bits] of cases) {
      const { network, expected } = await model(preset, bits);
      const graph = buildQonnxGraph(network, { batchSize: 1, codes: true });
      const bytes = writeOnnx(graph, { domains: { "qonnx.custom_op.general": 1 } });
      writeFileSync(join(folder, `${preset}${bits}.onnx`), bytes);
      writeFileSync(join(folder, `${preset}${bits}.json`), JSON.stringify(expected));
    }
    const script = new URL("../../conformance/qonnx-run.py", import.meta.url).pathname;
    const lines = execFileSync(python ?? "", [script, folder], { stdio: ["ignore", "pipe", "pipe"] }).toString();
    rmSync(folder, { recursive: true });
    const results = lines
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(results).toHaveLength(cases.length);
    for (const result of results) expect(result).toMatchObject({ different: 0 });
  });
});
