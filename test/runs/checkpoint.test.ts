import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { configToYaml } from "../../src/config/config.ts";
import { FileFormatError, SubbyteError } from "../../src/errors.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/runs/checkpoint.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

const checkpoint = {
  state: new Map([
    ["weight", float32Tensor([2, 3], [1, -2, 3, -4, 5, -6])],
    ["optimizer.weight.momentum", float32Tensor([2, 3], [0, 0, 1, 0, 0, 0])],
  ]),
  position: { step: 7, epochLoss: 1.5, epochCorrect: 3, bestAccuracy: null },
  // A configuration may hold the text that the checksum is found by.
  config: `${configToYaml(tinyConfig())}# "sha256":"${"0".repeat(64)}"\n`,
};

async function written(): Promise<string> {
  const file = join(await temporaryFolder(), "last.safetensors");
  await writeCheckpoint(file, checkpoint);
  return file;
}

describe("a checkpoint", () => {
  it("reads back what it wrote", async () => {
    const { state, position, config } = await readCheckpoint(await written());
    expect({ state, position, config }).toEqual(checkpoint);
  });

  it("is refused by name for every changed, missing or added byte", async () => {
    const file = await written();
    const bytes = await readFile(file);
    const damaged = join(await temporaryFolder(), "damaged.safetensors");
    const damage = fc.oneof(
      fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, change]) => {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ change;
        return copy;
      }),
      fc.nat(bytes.length - 1).map((length) => bytes.subarray(0, length)),
      fc.uint8Array({ minLength: 1, maxLength: 32 }).map((more) => Buffer.concat([bytes, more])),
      fc
        .tuple(fc.nat(bytes.length - 16), fc.constant(16))
        .map(([at, count]) => Buffer.from(bytes).fill(bytes[at] === 0 ? 1 : 0, at, at + count)),
    );
    await fc.assert(
      fc.asyncProperty(damage, async (content) => {
        await writeFile(damaged, content);
        const error: unknown = await readCheckpoint(damaged).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(SubbyteError);
        expect(error).toMatchObject({ where: damaged });
      }),
      { seed: 5, numRuns: 400 },
    );
  });

  it("of an earlier version is read without its checksum", async () => {
    const file = await written();
    const { state, position } = await readCheckpoint(file);
    const bytes = await readFile(file);
    const text = bytes.toString("latin1");
    const old = Buffer.from(text.replace("subbyte checkpoint 2", "subbyte checkpoint 1"), "latin1");
    await writeFile(file, old);
    expect(await readCheckpoint(file)).toMatchObject({ position });
    old[old.length - 1] = (old[old.length - 1] ?? 0) ^ 1;
    await writeFile(file, old);
    expect((await readCheckpoint(file)).state).not.toEqual(state);
  });

  it("of a model in another format is refused", async () => {
    const file = await written();
    await copyFile(file, `${file}.onnx`);
    await expect(readCheckpoint(`${file}.onnx`)).rejects.toThrow("ONNX model");
    await writeFile(file, "no checkpoint at all");
    await expect(readCheckpoint(file)).rejects.toThrow(FileFormatError);
  });
});
