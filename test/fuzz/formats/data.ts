/** Data files: arrays, archives, IDX, CIFAR, tables and images, damaged in bytes, in headers and in the names of folders. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { RandomStream } from "../../../src/base/random.ts";
import { evaluationBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import { openDataset, skippedSamples } from "../../../src/data/dataset/open-dataset.ts";
import { encodeIdx } from "../../../src/data/formats/idx/idx.ts";
import { FileFormatError } from "../../../src/errors.ts";
import { bytes, cifar, floats, image, labels, npz } from "../../data/files.ts";
import { damagedBytes, damagedText, type FuzzFormat, oddNumbers, oddTexts, oneOf } from "../format.ts";
import { oddBmp, oddPnm, plainFiles } from "./plain-images.ts";

type Files = Readonly<Record<string, Uint8Array | string>>;

/** Opens what lies in the folder `data` and reads all batches of both parts, as an evaluation does. */
async function readData(folder: string): Promise<void> {
  const { train, test } = await openDataset(join(folder, "data"), { validationSplit: 0, size: 8 });
  for (const part of [train, test]) {
    const batches = evaluationBatches(part, Math.min(4, part.count));
    const batch = allocateBatch(part, batches.batchSize);
    for (let step = 0; step < Math.min(4, batches.stepCount); step++) {
      await batches.prefetch(step);
      batches.read(step, batch);
    }
  }
  const [skipped] = skippedSamples({ train, test });
  // Skipped images are a refusal too: their reasons are printed.
  if (skipped !== undefined) throw new FileFormatError(skipped.reason, { where: skipped.name });
}

function put(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, "data", name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

/** A format whose valid files are damaged one at a time: as bytes, or by what `hostile` makes of the random numbers. */
function dataFormat(
  name: string,
  valid: () => Files | Promise<Files>,
  hostile?: (stream: RandomStream, files: Files) => Files | Promise<Files>,
): FuzzFormat {
  return {
    name,
    async write(stream, folder) {
      const files = await valid();
      const victim = oneOf(stream, Object.keys(files));
      const content = files[victim] ?? "";
      if (hostile !== undefined && stream.integerBelow(2) === 0) return put(folder, await hostile(stream, files));
      const damaged =
        typeof content === "string" ? damagedText(content, stream, tableWords) : damagedBytes(content, stream);
      put(folder, { ...files, [victim]: damaged });
    },
    read: readData,
  };
}

const arrays = { x: floats([6, 2, 3], (i) => i), y: labels(6, (i) => i % 3) };
const types = ["|b1", "|u1", "|i1", "<i2", ">u2", "<f2", ">f4", "<f8", "<u8", "|O", "<c8", "<U3", "|V4", "<f16", "|S2"];
const shapeWords = [
  "()",
  "(6,)",
  "(6, 2, 3)",
  "(6, 2, 3",
  "(6L,)",
  "(-1,)",
  "(6, 0)",
  "(1e3,)",
  "('6',)",
  "(6,,)",
  "[6]",
];

/** A header with odd types, shapes, orders and keys over a body of some length. */
function oddNpy(stream: RandomStream): Uint8Array {
  const odd = () => (stream.integerBelow(3) === 0 ? oneOf(stream, oddNumbers) : stream.integerBelow(9));
  const numbers = Array.from({ length: stream.integerBelow(6) }, odd);
  const shape = stream.integerBelow(3) === 0 ? oneOf(stream, shapeWords) : `(${numbers.join(", ")},)`;
  const order = oneOf(stream, ["True", "False", "0", "None", "__import__('os')"]);
  const extra = oneOf(stream, ["", "", "", ", 'shape': (6,)", ", 'descr': '|u1'", ", 'x': 1", "}", "\u0000"]);
  const text = `{'descr': '${oneOf(stream, types)}', 'fortran_order': ${order}, 'shape': ${shape}${extra}}`;
  const body = new Uint8Array(oneOf(stream, [0, 1, 36, 72, 144, 288, 4096]));
  const head = Buffer.alloc(10);
  head.write("\x93NUMPY", "latin1");
  head[6] = oneOf(stream, [0, 1, 1, 1, 2, 3, 4, 255]);
  head.writeUInt16LE(oneOf(stream, [text.length, text.length, text.length + 1, 0, 65_535]), 8);
  return Buffer.concat([head, Buffer.from(text, "latin1"), body]);
}

/** An archive whose directory has odd numbers in it. */
function oddZip(stream: RandomStream, archive: Uint8Array): Uint8Array {
  const damaged = Buffer.from(archive);
  const entry = damaged.indexOf("PK\u0001\u0002", 0, "latin1");
  const end = damaged.indexOf("PK\u0005\u0006", 0, "latin1");
  const at = oneOf(stream, [
    entry + 8,
    entry + 10,
    entry + 16,
    entry + 20,
    entry + 24,
    entry + 28,
    entry + 42,
    end + 10,
  ]);
  const value = oneOf(stream, oddNumbers);
  if (at >= 0 && at + 4 <= damaged.length) damaged.writeUInt32LE(Number(BigInt.asUintN(32, BigInt(value))), at);
  return damaged;
}

/** An IDX header of odd dimensions over a short body, packed or not. */
function oddIdx(stream: RandomStream): Uint8Array {
  const rank = oneOf(stream, [0, 1, 2, 3, 4, 255]);
  const sizes = Array.from({ length: Math.min(rank, 8) }, () => oneOf(stream, [0, 1, 6, 3, 255, 2 ** 31, 2 ** 32 - 1]));
  const head = Buffer.alloc(4 + 4 * sizes.length);
  head.set([0, 0, oneOf(stream, [8, 8, 8, 9, 11, 12, 13, 14, 0]), rank]);
  sizes.forEach((size, axis) => {
    head.writeUInt32BE(size, 4 + 4 * axis);
  });
  return Buffer.concat([head, new Uint8Array(oneOf(stream, [0, 6, 54, 20_000_000]))]);
}

const rows = Array.from({ length: 80 }, (_, i) => `${i},"${i / 3}",${["p", "q"][i % 2]}`);
const tableWords = [
  ",",
  ";",
  "\t",
  '"',
  '""',
  "\r\n",
  "\r",
  "nan",
  "-inf",
  "0x10",
  "1e400",
  "\uFEFF",
  "\u0000",
  ",,,,,",
];

/** The fuzzed formats of data. */
export const dataFormats: readonly FuzzFormat[] = [
  dataFormat(
    "npy",
    () => ({ "x.npy": arrays.x, "y.npy": arrays.y }),
    (stream, files) => ({ ...files, [oneOf(stream, ["x.npy", "y.npy"])]: oddNpy(stream) }),
  ),
  dataFormat(
    "npz",
    () => ({ "d.npz": npz(arrays) }),
    (stream) => {
      const inside = { ...arrays, [oneOf(stream, ["x", "y", "z", ...oddTexts])]: oddNpy(stream) };
      return { "d.npz": npz(inside, oneOf(stream, [0, 6])) };
    },
  ),
  dataFormat(
    "zip",
    () => ({ "d.npz": npz({ x: bytes([6, 4, 4], (i) => i), y: arrays.y }, 0) }),
    (stream, files) => ({ "d.npz": oddZip(stream, Buffer.from(files["d.npz"] ?? "")) }),
  ),
  dataFormat(
    "idx",
    () => ({
      "train-images-idx3-ubyte": encodeIdx({ shape: [6, 3, 3], data: new Uint8Array(54) }),
      "train-labels-idx1-ubyte": encodeIdx({ shape: [6], data: Uint8Array.of(0, 1, 2, 0, 1, 2) }),
    }),
    (stream, files) => ({
      ...files,
      [oneOf(stream, ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])]: oddIdx(stream),
    }),
  ),
  dataFormat(
    "idx.gz",
    () => ({
      "train-images-idx3-ubyte.gz": gzipSync(encodeIdx({ shape: [6, 3, 3], data: new Uint8Array(54) })),
      "train-labels-idx1-ubyte.gz": gzipSync(encodeIdx({ shape: [6], data: Uint8Array.of(0, 1, 2, 0, 1, 2) })),
    }),
    (stream, files) => ({
      ...files,
      [oneOf(stream, ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])]: gzipSync(oddIdx(stream)),
    }),
  ),
  dataFormat("cifar", () => ({ "train.bin": cifar(3, 2, (i) => i), "test.bin": cifar(2, 2, (i) => i) })),
  dataFormat(
    "csv",
    () => ({ "d.csv": `a,b,class\n${rows.join("\n")}\n` }),
    (stream) => ({
      "d.csv": `a,b,class\n${rows.map((row) => (stream.integerBelow(40) === 0 ? row + oneOf(stream, tableWords) : row)).join("\n")}`,
    }),
  ),
  dataFormat(
    "csv.gz",
    () => ({ "d.csv.gz": gzipSync(`a,b,class\n${rows.join("\n")}\n`) }),
    (stream) => ({ "d.csv.gz": gzipSync(damagedText(`a,b,class\n${rows.join("\n")}\n`, stream, tableWords)) }),
  ),
  ...(["png", "jpeg", "webp"] as const).map((format) =>
    dataFormat(format, async () => ({
      [`a/1.${format}`]: await image(40, 30, [9, 99, 199], format),
      [`b/2.${format}`]: await image(9, 9, 5, format),
    })),
  ),
  dataFormat("gif and tiff", async () => ({
    "a/1.gif": await image(20, 10, [9, 99, 199], "gif"),
    "b/2.tiff": await image(9, 9, 5, "tiff"),
  })),
  dataFormat("bmp", plainFiles("bmp"), oddBmp),
  dataFormat("pnm", plainFiles("pnm"), oddPnm),
  {
    name: "folders",
    async write(stream, folder) {
      const png = await image(4, 4, [1, 2, 3]);
      const names = ["train", "val", "test_set", "a", "b", "train_station", ...oddTexts];
      const name = () => oneOf(stream, names).replaceAll("/", "_").replaceAll("\u0000", "0").slice(0, 100) || "x";
      const paths = Array.from({ length: 1 + stream.integerBelow(8) }, () =>
        [...Array.from({ length: stream.integerBelow(4) }, name), `${stream.integerBelow(9)}${oneOf(stream, endings)}`]
          .filter((part) => part !== "." && part !== "..")
          .join("/"),
      );
      for (const path of paths) {
        try {
          put(folder, { [path]: oneOf(stream, [png, png, png, png, "", "text"]) });
        } catch {
          // A file stands where the folder would be.
        }
      }
      mkdirSync(join(folder, "data"), { recursive: true });
    },
    read: readData,
  },
];

const endings = [".png", ".png", ".png", ".png", ".jpg", ".JPG", ".gif", ".txt", ".npy", ".csv"];
