/**
 * Measures the memory that loading a large data set takes, for each format that is kept in memory.
 *
 *     npx tsx scripts/data-memory.ts [--megabytes 1000] [format …]
 *
 * Each file is generated, opened in a process of its own (samples and normalization are read), and removed. Printed is the
 * largest resident memory above that of a tiny data set of the same format, over the size of the samples in memory.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crc32, createGzip } from "node:zlib";
import { openDataset } from "../src/data/dataset/open-dataset.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { megabytes: { type: "string", default: "1000" }, open: { type: "string" } },
});

const side = 32;
const sampleBytes = 3 * side * side;

/** Bytes that repeat, in pieces. */
function* body(length: number): Generator<Uint8Array> {
  const piece = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31) % 251);
  for (let done = 0; done < length; done += piece.length)
    yield piece.subarray(0, Math.min(piece.length, length - done));
}

function npyHead(descr: string, shape: readonly number[], order = "False"): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(", ")},), }`;
  const padded = `${text.padEnd(117)}\n`;
  const head = Buffer.alloc(10);
  head.write("\x93NUMPY\x01\x00", "latin1");
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, Buffer.from(padded, "latin1")]);
}

/** The bytes of an archive with one stored file. */
function* archive(name: string, parts: () => Iterable<Uint8Array>): Generator<Uint8Array> {
  let [length, crc] = [0, 0];
  for (const part of parts()) [length, crc] = [length + part.length, crc32(part, crc)];
  const entry = (signature: number, extra: number) => {
    const head = Buffer.alloc(extra + name.length);
    head.writeUInt32LE(signature);
    const at = extra === 30 ? 14 : 16;
    head.writeUInt32LE(crc, at);
    head.writeUInt32LE(length, at + 4);
    head.writeUInt32LE(length, at + 8);
    head.writeUInt16LE(name.length, at + 12);
    head.write(name, extra);
    return head;
  };
  const local = entry(0x04034b50, 30);
  yield local;
  yield* parts();
  const directory = entry(0x02014b50, 46);
  yield directory;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length + length, 16);
  yield end;
}

function idxHead(...shape: readonly number[]): Uint8Array {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, 8, shape.length]);
  shape.forEach((size, axis) => {
    head.writeUInt32BE(size, 4 + 4 * axis);
  });
  return head;
}

function* cifarRecords(count: number): Generator<Uint8Array> {
  const piece = new Uint8Array(256 * (sampleBytes + 1));
  for (let done = 0; done < count; done += 256) {
    yield piece.subarray(0, Math.min(256, count - done) * (sampleBytes + 1));
  }
}

type Parts = Iterable<Uint8Array>;
const join2 = (head: Uint8Array, rest: Parts): Parts =>
  (function* () {
    yield head;
    yield* rest;
  })();

/** Each format: its files for a number of bytes in memory, and the path to open in their folder. */
const formats: Record<string, { path: string; files: (bytes: number) => Record<string, () => Parts> }> = {
  npy: {
    path: "x.npy",
    files: (bytes) => {
      const count = Math.floor(bytes / sampleBytes);
      const head = npyHead("|u1", [count, 3, side, side]);
      return { "x.npy": () => join2(head, body(count * sampleBytes)) };
    },
  },
  "npy float64": {
    path: "x.npy",
    files: (bytes) => {
      const count = Math.floor(bytes / 4 / 1024);
      return { "x.npy": () => join2(npyHead("<i8", [count, 1024]), body(count * 8192)) };
    },
  },
  "npy Fortran": {
    path: "x.npy",
    files: (bytes) => {
      const count = Math.floor(bytes / sampleBytes);
      return { "x.npy": () => join2(npyHead("|u1", [count, 3, side, side], "True"), body(count * sampleBytes)) };
    },
  },
  npz: {
    path: "d.npz",
    files: (bytes) => {
      const count = Math.floor(bytes / sampleBytes);
      const parts = () => join2(npyHead("|u1", [count, side, side, 3]), body(count * sampleBytes));
      return { "d.npz": () => archive("x.npy", parts) };
    },
  },
  idx: {
    path: "",
    files: (bytes) => {
      const count = Math.floor(bytes / side / side);
      return {
        "train-images-idx3-ubyte": () => join2(idxHead(count, side, side), body(count * side * side)),
        "train-labels-idx1-ubyte": () => [idxHead(count), new Uint8Array(count)],
      };
    },
  },
  "idx gzip": {
    path: "",
    files: (bytes) => {
      const count = Math.floor(bytes / side / side);
      return {
        "train-images-idx3-ubyte.gz": () => join2(idxHead(count, side, side), body(count * side * side)),
        "train-labels-idx1-ubyte": () => [idxHead(count), new Uint8Array(count)],
      };
    },
  },
  cifar: {
    path: "",
    files: (bytes) => ({
      ...Object.fromEntries(
        [1, 2, 3, 4, 5].map((number) => [
          `data_batch_${number}.bin`,
          () => cifarRecords(Math.floor(bytes / sampleBytes / 5)),
        ]),
      ),
      "test_batch.bin": () => cifarRecords(10),
    }),
  },
};

async function peakOf(format: string, bytes: number): Promise<{ bytes: number; seconds: number }> {
  const chosen = formats[format];
  if (chosen === undefined) throw new Error(`no format ${format}; there are ${Object.keys(formats).join(", ")}`);
  const folder = await mkdtemp(join(tmpdir(), "subbyte-memory-"));
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, parts] of Object.entries(chosen.files(bytes))) {
      const packing = name.endsWith(".gz") ? [createGzip({ level: 1 })] : [];
      await pipeline([Readable.from(parts()), ...packing, createWriteStream(join(folder, name))]);
    }
    const started = Date.now();
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [...process.execArgv, fileURLToPath(import.meta.url), "--open", join(folder, chosen.path)],
      { encoding: "utf8" },
    );
    const peak = Number(stdout);
    if (!(peak > 0)) throw new Error(`${format}: ${stdout}${stderr}`);
    return { bytes: peak * 1024, seconds: (Date.now() - started) / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (values.open !== undefined) {
  await openDataset(values.open, { validationSplit: 0 });
  process.stdout.write(`${process.resourceUsage().maxRSS}`);
} else {
  const bytes = Number(values.megabytes) * 1e6;
  for (const format of positionals.length > 0 ? positionals : Object.keys(formats)) {
    const [base, peak] = [await peakOf(format, 1e6), await peakOf(format, bytes)];
    const ratio = (peak.bytes - base.bytes) / bytes;
    const megabytes = (value: number) => `${Math.round(value / 1e6)} MB`;
    console.log(
      `${format}: ${ratio.toFixed(3)} times ${megabytes(bytes)}; peak ${megabytes(peak.bytes)}, ${peak.seconds.toFixed(1)} s`,
    );
  }
}
