/** Readers with faults, which the watcher has to see. Each fails at its second input. */

import { readFileSync, writeFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FileFormatError } from "../../../src/errors.ts";
import type { FuzzFormat } from "../format.ts";

function planted(mode: string, fail: (folder: string) => unknown): FuzzFormat {
  return {
    name: `planted ${mode}`,
    write: (_, folder) => writeFileSync(join(folder, "input"), "x"),
    read: (folder) => (folder.endsWith("1") ? fail(folder) : readFileSync(join(folder, "input"))),
  };
}

/** Not among the formats that are counted. */
export const plantedFormats: readonly FuzzFormat[] = [
  planted("hang", () => {
    for (;;);
  }),
  planted("memory", () => {
    const held: Buffer[] = [];
    for (;;) held.push(Buffer.alloc(2 ** 24, 1));
  }),
  planted("defect", () => {
    throw new TypeError("x is not a function");
  }),
  planted("control", () => {
    throw new FileFormatError("a name: \u001b[2J\r\u202e", { where: "\u001b]0;t\u0007" });
  }),
  planted("outside", async (folder) => {
    readFileSync("/etc/hostname");
    const file = join(dirname(folder), "outside");
    await writeFile(file, "x");
    await rm(file);
  }),
];
