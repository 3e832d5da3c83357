/**
 * Damaged data files, with a fixed seed: bytes changed, cut, repeated, numbers in headers replaced. Each gives an error of
 * ours or a data set whose samples can be read; never another exception, a hang, or memory without end.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type RandomStream, randomStream } from "../../src/base/random.ts";
import { evaluationBatches } from "../../src/data/dataset/batches.ts";
import { allocateBatch } from "../../src/data/dataset/dataset.ts";
import { openDataset } from "../../src/data/dataset/open-dataset.ts";
import { encodeIdx } from "../../src/data/formats/idx/idx.ts";
import { SubbyteError } from "../../src/errors.ts";
import { bytes, cifar, floats, image, labels, npz, put } from "./files.ts";
import { temporaryFolder } from "./support.ts";

const variantsOfEach = 60;

function damage(file: Uint8Array, stream: RandomStream): Uint8Array {
  const damaged = Buffer.from(file);
  const at = stream.integerBelow(Math.max(1, damaged.length));
  // Most of the meaning lies at the beginning, and of archives at the end.
  const head = stream.integerBelow(Math.min(damaged.length, 128));
  switch (stream.integerBelow(7)) {
    case 0:
      return damaged.subarray(0, at);
    case 1:
      return Buffer.concat([damaged, damaged.subarray(at)]);
    case 2:
      return Buffer.concat([damaged.subarray(0, head), damaged.subarray(head + 1)]);
    case 3:
      damaged[at] = stream.integerBelow(256);
      return damaged;
    case 4:
      damaged[damaged.length - 1 - head] = stream.integerBelow(256);
      return damaged;
    case 5:
      damaged.fill(stream.integerBelow(2) * 255, head, head + 1 + stream.integerBelow(8));
      return damaged;
    default:
      for (let i = 0; i < 4; i++)
        damaged[stream.integerBelow(Math.min(damaged.length, 128))] = stream.integerBelow(256);
      return damaged;
  }
}

const npyFiles = { "x.npy": floats([6, 2, 3], (i) => i), "y.npy": labels(6, (i) => i % 3) };
const arrays = { x: bytes([6, 4, 4], (i) => i), y: labels(6, (i) => i % 3) };
const rows = Array.from({ length: 12 }, (_, i) => `${i},"${i / 3}",${["p", "q"][i % 2]}`);

const kinds: Record<string, () => Promise<Record<string, Uint8Array>>> = {
  npy: async () => npyFiles,
  "deflated npz": async () => ({ "d.npz": npz(arrays) }),
  "stored npz": async () => ({ "d.npz": npz(arrays, 0) }),
  csv: async () => ({ "d.csv": Buffer.from(`a,b,class\n${rows.join("\n")}\n`) }),
  cifar: async () => ({ "train.bin": cifar(3, 2, (i) => i), "test.bin": cifar(2, 2, (i) => i) }),
  idx: async () => ({
    "train-images-idx3-ubyte": encodeIdx({ shape: [6, 3, 3], data: new Uint8Array(54) }),
    "train-labels-idx1-ubyte": encodeIdx({ shape: [6], data: Uint8Array.of(0, 1, 2, 0, 1, 2) }),
  }),
  jpeg: async () => ({
    "a/1.jpg": await image(40, 30, [9, 99, 199], "jpeg"),
    "a/2.jpg": await image(9, 9, 5, "jpeg"),
  }),
  png: async () => ({ "a/1.png": await image(40, 30, [9, 99, 199]), "b/2.png": await image(9, 9, 5) }),
  webp: async () => ({
    "a/1.webp": await image(40, 30, [9, 99, 199], "webp"),
    "b/1.webp": await image(9, 9, 5, "webp"),
  }),
};

test.each(Object.keys(kinds))(`${variantsOfEach} damaged variants of %s`, async (kind) => {
  const files = (await kinds[kind]?.()) ?? {};
  const names = Object.keys(files);
  const folder = await temporaryFolder();
  const outcomes = { valid: 0, refused: 0 };
  for (let variant = 0; variant < variantsOfEach; variant++) {
    const stream = randomStream(20, kind, variant);
    const name = names[stream.integerBelow(names.length)] ?? "";
    const place = join(folder, `${variant}`);
    await put(place, { ...files, [name]: damage(files[name] ?? new Uint8Array(0), stream) });
    try {
      const { train, test } = await openDataset(place, { validationSplit: 0, size: 8 });
      for (const part of [train, test]) {
        const batches = evaluationBatches(part, Math.min(4, part.count));
        const batch = allocateBatch(part, batches.batchSize);
        await batches.prefetch(0);
        batches.read(0, batch);
      }
      outcomes.valid++;
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw new Error(`variant ${variant} of ${kind}`, { cause: error });
      expect(error.message.length).toBeLessThan(1000);
      outcomes.refused++;
    }
    await rm(place, { recursive: true });
  }
  // An image may be skipped; of everything else something must have been noticed.
  if (!["jpeg", "png", "webp"].includes(kind)) expect(outcomes.refused).toBeGreaterThan(variantsOfEach / 3);
  expect(outcomes.valid + outcomes.refused).toBe(variantsOfEach);
});
