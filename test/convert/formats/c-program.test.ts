/** The C program: compiled without warnings, run here, equal to the interpreter in every code. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { isStoredWhole } from "../../../src/convert/formats/c/arena.ts";
import { buildCProgram } from "../../../src/convert/formats/c/program.ts";
import type { IntegerNetwork } from "../../../src/convert/integer-network.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { comparedTensors } from "../../../src/convert/prove/verify.ts";
import { float32Data } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { isConvertible } from "../../support/convert/agreement.ts";
import {
  networkDescriptions,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
  withRandomValues,
} from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const samples = 3;
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 3);
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-c-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const main = `#include <stdio.h>
#include "network.h"
void network_observe(int tensor, const void *codes, int count, int bytes, int offset) {
  printf("%d", tensor);
  for (int i = 0; i < count; i++) {
    const int code = bytes == 1 ? ((const uint8_t *)codes)[i] - offset : ((const int32_t *)codes)[i];
    printf(" %d", code);
  }
  printf("\\n");
}
int main(void) {
  static float data[NETWORK_INPUT_SIZE];
  float logits[NETWORK_LOGITS_SIZE];
  while (fread(data, sizeof data, 1, stdin) == 1) {
    network_run(data, logits);
    printf("logits");
    for (int i = 0; i < NETWORK_LOGITS_SIZE; i++) printf(" %.9g", logits[i]);
    printf("\\n");
  }
  return 0;
}
`;

/** The program's lines for some samples. */
function compileAndRun(network: IntegerNetwork, arithmetic: "float" | "fixed", data: Float32Array): string[] {
  const program = buildCProgram(network, { arithmetic, observe: true });
  writeFileSync(join(folder, "network.h"), program.header);
  writeFileSync(join(folder, "network.c"), program.source);
  writeFileSync(join(folder, "main.c"), main);
  const flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover"];
  execFileSync("gcc", [...flags, "network.c", "main.c", "-o", "run"], { cwd: folder, stdio: "pipe" });
  const input = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return execFileSync(join(folder, "run"), { input, maxBuffer: 2 ** 28 })
    .toString()
    .trim()
    .split("\n");
}

function expectedLines(network: IntegerNetwork, arithmetic: "float" | "fixed", data: Float32Array): string[] {
  const size = data.length / samples;
  const compared = new Set(comparedTensors(network).map(({ id }) => id));
  const order = network.operations.filter((each) => !isStoredWhole(each)).map((operation) => operation.output);
  return Array.from({ length: samples }, (_, i) => {
    const results = interpret(network, data.subarray(i * size, (i + 1) * size), { arithmetic });
    return order.flatMap((id) => {
      const result = results[id];
      if (!compared.has(id) || result === undefined) return [];
      const isFloat = network.tensors[id]?.form.kind === "float";
      return [[isFloat ? "logits" : id, ...Array.from(result, (x) => (isFloat ? cFloat(x) : x))].join(" ")];
    });
  }).flat();
}

/** Numbers as both sides read them back: as float32. */
function cFloat(x: number): string {
  return String(Math.fround(x));
}

function normalized(line: string): string {
  return line.startsWith("logits")
    ? line
        .split(" ")
        .map((word) => (word === "logits" ? word : cFloat(Number(word))))
        .join(" ")
        .replaceAll(" -0", " 0")
    : line;
}

describe("the C program", () => {
  for (const arithmetic of ["float", "fixed"] as const) {
    for (const [preset, bits] of [
      ["lsq", 8],
      ["lsq", 3],
      ["lsq+", 4],
      ["minmax", 4],
      ["thread", 2],
      ["apot", 4],
      ["apot", 3],
    ] as const) {
      it(`is equal to the interpreter: ${arithmetic}, ${preset} W${bits}A${bits}`, async () => {
        await fc.assert(
          fc.asyncProperty(networkDescriptions, fc.constantFrom(null, 8), async (description, residualBits) => {
            fc.pre(isConvertible(preset, description, residualBits));
            const data = randomTensor(seeded(description.seed + 1), [samples, ...sampleShapeOf(description)]);
            const base = presetNamed(preset, { weightBits: bits, activationBits: bits });
            const config = preset === "thread" ? base : { ...base, residualBits };
            const quantized = await quantizedWith(randomNetwork(description), config, data);
            const network = convert(quantized, { input: { dtype: "float32" } });
            const lines = compileAndRun(network, arithmetic, float32Data(data));
            expect(lines.map(normalized)).toEqual(
              expectedLines(network, arithmetic, float32Data(data)).map((line) => line.replaceAll(" -0", " 0")),
            );
          }),
          { numRuns: runs },
        );
      });
    }
  }

  for (const [name, width] of [["resnet20", 4]] as const) {
    for (const arithmetic of ["float", "fixed"] as const) {
      it(`is equal to the interpreter: ${arithmetic}, a whole ${name}`, async () => {
        const sampleShape = [3, 8, 8];
        const random = seeded(11);
        const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
        const float = makeModel(name, { sampleShape, classes: 10, width }, { uniform: random, normal });
        const data = randomTensor(seeded(12), [samples, ...sampleShape], { low: -2, high: 2 });
        const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
        const quantized = await quantizedWith(withRandomValues(float, random), config, data);
        const network = convert(quantized, { input: { dtype: "float32" } });
        const lines = compileAndRun(network, arithmetic, float32Data(data));
        expect(lines.length).toBeGreaterThan(60);
        expect(lines.map(normalized)).toEqual(
          expectedLines(network, arithmetic, float32Data(data)).map((line) => line.replaceAll(" -0", " 0")),
        );
      });
    }
  }
});
