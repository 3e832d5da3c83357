/** Compiles the C program of an integer network, without warnings, and runs it next to the interpreter. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { isStoredWhole } from "../../../src/convert/formats/c/arena.ts";
import { buildCProgram } from "../../../src/convert/formats/c/program.ts";
import type { IntegerNetwork } from "../../../src/convert/integer-network.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { comparedTensors } from "../../../src/convert/prove/verify.ts";

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
  static NETWORK_DATA_TYPE data[NETWORK_INPUT_SIZE];
  float logits[NETWORK_OUT_SIZE];
  while (fread(data, sizeof data, 1, stdin) == 1) {
    network_run(data, logits);
    printf("logits");
    for (int i = 0; i < NETWORK_OUT_SIZE; i++) printf(" %.9g", logits[i]);
    printf("\\n");
  }
  return 0;
}
`;

/** The program's lines for some samples: the codes of each tensor, and the outputs. */
function compileAndRun(
  network: IntegerNetwork,
  arithmetic: "float" | "fixed",
  data: Float32Array | Int32Array,
): string[] {
  const folder = mkdtempSync(join(tmpdir(), "subbyte-c-"));
  try {
    const program = buildCProgram(network, { arithmetic, observe: true });
    writeFileSync(join(folder, "network.h"), program.header);
    writeFileSync(join(folder, "network.c"), program.source);
    const [output] = network.outputs;
    writeFileSync(
      join(folder, "main.c"),
      main
        .replaceAll("NETWORK_OUT_SIZE", `NETWORK_${output?.name.toUpperCase()}_SIZE`)
        .replaceAll("NETWORK_DATA_TYPE", data instanceof Float32Array ? "float" : "int32_t"),
    );
    const flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover"];
    execFileSync("gcc", [...flags, "network.c", "main.c", "-o", "run"], { cwd: folder, stdio: "pipe" });
    const input = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return execFileSync(join(folder, "run"), { input, maxBuffer: 2 ** 28 })
      .toString()
      .trim()
      .split("\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function expectedLines(
  network: IntegerNetwork,
  arithmetic: "float" | "fixed",
  data: Float32Array | Int32Array,
  samples: number,
): string[] {
  const size = data.length / samples;
  const compared = new Set(comparedTensors(network).map(({ id }) => id));
  // Constants lie in the program, which does not show them.
  const order = network.operations.filter((operation) => !isStoredWhole(operation)).map(({ output }) => output);
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

/**
 * Compares the C program with the interpreter: every tensor of codes, and the outputs. Returns the number of tensors compared.
 *
 * @param samples How many samples the data are.
 */
export function expectSameInC(
  network: IntegerNetwork,
  arithmetic: "float" | "fixed",
  data: Float32Array | Int32Array,
  samples: number,
): number {
  // The program makes parts of concatenations earlier than the network lists them.
  const lines = compileAndRun(network, arithmetic, data).map(normalized).sort();
  const expected = expectedLines(network, arithmetic, data, samples).map((line) => line.replaceAll(" -0", " 0"));
  expect(lines).toEqual(expected.sort());
  return lines.length;
}
