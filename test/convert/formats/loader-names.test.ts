/** Names from a model in what Python reads: the loader stays code of ours, and the JSON next to it gives every name back. */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { stateDictFormat } from "../../../src/convert/formats/state-dict.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { quantizedWith } from "../../support/convert/random/network.ts";
import { hostileName } from "../../support/hostile-text.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const python = ["python3", "python"].find((command) => spawnSync(command, ["--version"]).status === 0);

/** A name that a file can hold: ONNX Runtime's names end at a NUL, and UTF-8 has no lone surrogates. */
const storable = hostileName.map((text) => Buffer.from(text.replaceAll("\0", "")).toString());

/** The files of a state dict of a network whose names are given. */
async function filesOf(name: string): Promise<Map<string, Uint8Array>> {
  const random = seeded(3);
  const builder = new NetworkBuilder(name, { uniform: random, normal: () => random() - 0.5 });
  const x = builder.linear(`${name}a`, builder.input("x", [4]), 4);
  const network = builder.finish(builder.linear(`${name}b`, builder.builder.one("Relu", [x]), 3));
  const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
  const inside = { ...config, firstLayer: "same", lastLayer: "same" } as const;
  const quantized = await quantizedWith(network, inside, randomTensor(seeded(4), [4, 4], { low: -2, high: 2 }));
  const options = { batchSize: 1, arithmetic: "float", packed: true } as const;
  const files = stateDictFormat.files(convert(quantized, { input: { dtype: "float32" } }), options, quantized);
  return new Map(files.map((file) => [file.name, Buffer.concat(file.parts)]));
}

const namesIn = (text: string) => new Set([...text.matchAll(/"name": ("(?:[^"\\]|\\.)*")/g)].map(([, name]) => name));

describe("hostile names in a state dict", () => {
  it("leave the loader as it is, and come back from the JSON", async () => {
    const plain = Buffer.from((await filesOf("x")).get("load_state_dict.py") ?? []).toString();
    expect(plain).toContain("def load(folder)");
    const property = fc.asyncProperty(storable, async (name) => {
      const files = await filesOf(name);
      expect(Buffer.from(files.get("load_state_dict.py") ?? []).toString()).toBe(plain);
      const json = Buffer.from(files.get("quantization.json") ?? []).toString();
      const { network, weights } = JSON.parse(json);
      expect(network).toBe(name);
      expect(Object.keys(weights)).toEqual([`${name}a.weight`, `${name}b.weight`]);
      expect(namesIn(json).size).toBeGreaterThan(0);
    });
    await fc.assert(property, { numRuns: 15 });
  });

  it.skipIf(python === undefined)("compile with Python, and load", async () => {
    const folder = mkdtempSync(join(tmpdir(), "subbyte-loader-"));
    const name = '"""\nimport os\nos._exit(3)\n"""\u202e\\';
    for (const [file, bytes] of await filesOf(name)) writeFileSync(join(folder, file), bytes);
    const load = [
      "import json, py_compile",
      "py_compile.compile('load_state_dict.py', doraise=True)",
      "names = list(json.load(open('quantization.json', encoding='utf-8'))['weights'])",
      "print(json.dumps(names))",
    ];
    const printed = execFileSync(python ?? "", ["-c", load.join("\n")], { cwd: folder }).toString();
    rmSync(folder, { recursive: true });
    expect(JSON.parse(printed)).toEqual([`${name}a.weight`, `${name}b.weight`]);
  });
});
