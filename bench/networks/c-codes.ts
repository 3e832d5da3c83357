/** The C program of an integer network: compiled, run, and its codes compared with the interpreter's. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interpretFast } from "../../src/convert/fast/interpret.ts";
import { isStoredWhole } from "../../src/convert/formats/c/arena.ts";
import { buildCProgram } from "../../src/convert/formats/c/program.ts";
import type { IntegerNetwork } from "../../src/convert/integer-network.ts";
import { comparedTensors } from "../../src/convert/prove/verify.ts";

/** Codes compared and differing, and the first that differ. */
export interface CComparison {
  readonly program: "C";
  readonly samples: number;
  readonly compared: number;
  readonly mismatches: number;
  readonly first?: string;
}

const observer = `#include <stdio.h>
#include "network.h"
void network_observe(int tensor, const void *codes, int count, int bytes, int offset) {
  printf("%d", tensor);
  for (int i = 0; i < count; i++)
    printf(" %d", bytes == 1 ? ((const uint8_t *)codes)[i] - offset : ((const int32_t *)codes)[i]);
  printf("\\n");
}
`;

/** Reads samples from the standard input; the outputs' sizes stand in the header. */
function mainOf(header: string, isFloat: boolean): string {
  const outputs = [...header.matchAll(/#define NETWORK_(\w+)_SIZE (\d+)/g)].filter(([, name]) => name !== "INPUT");
  const declared = outputs.map(([, , size], i) => `  static float out${i}[${size}];`);
  const given = outputs.map((_, i) => `, out${i}`).join("");
  return `${observer}int main(void) {
  static ${isFloat ? "float" : "int32_t"} data[NETWORK_INPUT_SIZE];
${declared.join("\n")}
  while (fread(data, sizeof data, 1, stdin) == 1) {
    network_run(data${given});
    printf("end\\n");
  }
  return 0;
}
`;
}

/**
 * Compiles the program and compares every tensor of codes.
 *
 * @param data Samples one after another.
 */
export function compareC(network: IntegerNetwork, data: Float32Array | Int32Array, samples: number): CComparison {
  const folder = mkdtempSync(join(tmpdir(), "subbyte-networks-"));
  try {
    const program = buildCProgram(network, { arithmetic: "float", observe: true });
    writeFileSync(join(folder, "network.h"), program.header);
    writeFileSync(join(folder, "network.c"), program.source);
    writeFileSync(join(folder, "main.c"), mainOf(program.header, data instanceof Float32Array));
    const flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1"];
    execFileSync("gcc", [...flags, "network.c", "main.c", "-o", "run"], { cwd: folder, stdio: "pipe" });
    const input = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const text = execFileSync(join(folder, "run"), { input, maxBuffer: 2 ** 30 }).toString();
    return compareLines(network, text.split("end\n").slice(0, samples), data, samples);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compareLines(
  network: IntegerNetwork,
  blocks: readonly string[],
  data: Float32Array | Int32Array,
  samples: number,
): CComparison {
  const size = data.length / samples;
  const stored = new Set(network.operations.filter(isStoredWhole).map(({ output }) => output));
  const tensors = comparedTensors(network).filter(
    ({ id, form }) => id < network.tensors.length && form.kind !== "float" && !stored.has(id),
  );
  let [compared, mismatches] = [0, 0];
  let first: string | undefined;
  for (let i = 0; i < samples; i++) {
    const expected = interpretFast(network, data.subarray(i * size, (i + 1) * size));
    const got = new Map(
      (blocks[i] ?? "")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => {
          const [id, ...codes] = line.split(" ").map(Number);
          return [id, codes] as const;
        }),
    );
    for (const { id, name } of tensors) {
      const [wanted = [], codes = []] = [expected[id], got.get(id)];
      compared += wanted.length;
      for (let k = 0; k < wanted.length; k++) {
        if (wanted[k] === codes[k]) continue;
        mismatches++;
        first ??= `${name}, sample ${i}, element ${k}: ${wanted[k]} interpreted, ${codes[k]} by C`;
      }
    }
  }
  return { program: "C", samples, compared, mismatches, ...(first === undefined ? {} : { first }) };
}
