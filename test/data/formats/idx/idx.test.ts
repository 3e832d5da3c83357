/** IDX files are read back as written, and every kind of damage is an error that names the file. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeIdx, encodeIdx, readIdx, writeIdx } from "../../../../src/data/formats/idx/idx.ts";
import { ConfigError, FileFormatError } from "../../../../src/errors.ts";
import { pack, unpack } from "../../../../src/io/gzip.ts";
import { errorOf, temporaryFolder } from "../../support.ts";

const array = fc.array(fc.nat(6), { minLength: 1, maxLength: 4 }).chain((shape) => {
  const length = shape.reduce((product, size) => product * size, 1);
  return fc.uint8Array({ minLength: length, maxLength: length }).map((data) => ({ shape, data }));
});

const images = { shape: [2, 3, 4], data: Uint8Array.from({ length: 24 }, (_, i) => i * 10) };

describe("round trip", () => {
  test("bytes of any shape, plain", () => {
    fc.assert(
      fc.property(array, (original) => {
        const { shape, data } = decodeIdx(encodeIdx(original), "memory");
        expect(shape).toEqual(original.shape);
        expect(Array.from(data)).toEqual(Array.from(original.data));
      }),
    );
  });

  test.each(["images-idx3-ubyte", "images-idx3-ubyte.gz"])("through the file %s", async (name) => {
    const path = join(await temporaryFolder(), "sub", name);
    await writeIdx(path, images);
    const read = await readIdx(path);
    expect(read.shape).toEqual(images.shape);
    expect(Array.from(read.data)).toEqual(Array.from(images.data));
  });

  test("packing is the same every time and is what any gunzip reads", async () => {
    const plain = encodeIdx(images);
    expect(pack(plain)).toEqual(pack(plain));
    expect(new Uint8Array(gunzipSync(pack(plain)))).toEqual(plain);
    expect(new Uint8Array(await unpack(gzipSync(plain), "memory"))).toEqual(plain);
  });

  test("the layout is that of the MNIST page", () => {
    expect(Array.from(encodeIdx({ shape: [258, 1], data: new Uint8Array(258) }).subarray(0, 12))).toEqual([
      0, 0, 8, 2, 0, 0, 1, 2, 0, 0, 0, 1,
    ]);
  });

  test("a shape that is not the data's is refused", () => {
    expect(() => encodeIdx({ shape: [3], data: new Uint8Array(2) })).toThrow(ConfigError);
    expect(() => encodeIdx({ shape: [], data: new Uint8Array(1) })).toThrow(ConfigError);
    expect(() => encodeIdx({ shape: [-1], data: new Uint8Array(0) })).toThrow(ConfigError);
  });
});

describe("damage", () => {
  const plain = encodeIdx(images);
  const packed = gzipSync(plain);
  const changed = (bytes: Uint8Array, position: number, value: number) => {
    const copy = Uint8Array.from(bytes);
    copy[position] = value;
    return copy;
  };
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["an empty file", new Uint8Array(0), /truncated.*at least 4 bytes, there are 0/],
    ["a header cut short", plain.subarray(0, 9), /truncated: 3 dimensions need a header of 16 bytes, there are 9/],
    ["data cut short", plain.subarray(0, -5), /truncated: its header states 2x3x4 = 24 bytes of data, there are 19/],
    ["bytes after the data", Buffer.concat([plain, Buffer.from("more")]), /4 bytes follow the 24 bytes of data/],
    ["a wrong magic number", changed(plain, 0, 7), /not an IDX file: it starts with 07 00 08 03/],
    ["no dimensions", changed(plain, 3, 0), /not an IDX file/],
    ["elements of float32", changed(plain, 2, 0x0d), /type 0x0d \(float32\), expected 0x08/],
    ["an unknown element type", changed(plain, 2, 0x42), /0x42 \(an unknown type\)/],
    ["dimensions beyond the file", changed(plain, 4, 255), /truncated/],
    ["a web page", Buffer.from("<!DOCTYPE html>"), /not an IDX file/],
    ["gzip cut short", packed.subarray(0, -6), /gzip data is damaged: unexpected end of file/],
    ["gzip with a flipped bit", changed(packed, 20, (packed[20] ?? 0) ^ 4), /gzip data is damaged/],
    [
      "a wrong gzip checksum",
      changed(packed, packed.length - 7, (packed[packed.length - 7] ?? 0) ^ 1),
      /damaged: incorrect data check/,
    ],
    ["text after the gzip data", Buffer.concat([packed, Buffer.from("more")]), /gzip data is damaged/],
    ["zeros after the gzip data", Buffer.concat([packed, Buffer.alloc(3)]), /3 bytes follow the gzip data/],
    ["gzip of a truncated file", gzipSync(plain.subarray(0, 20)), /truncated/],
  ];

  test.each(cases)("%s", async (_, bytes, message) => {
    const path = join(await temporaryFolder(), "images.gz");
    await writeFile(path, bytes);
    const error = await errorOf(() => readIdx(path));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.message).toMatch(message);
    expect(error.where).toBe(path);
    expect(error.remedy).toBeTruthy();
  });

  test("a truncation at any byte is an error, packed or plain", async () => {
    for (let length = 0; length < plain.length; length++) {
      expect(() => decodeIdx(plain.subarray(0, length), "memory")).toThrow(FileFormatError);
    }
    for (let length = 1; length < packed.length; length++) {
      await expect(unpack(packed.subarray(0, length), "memory")).rejects.toThrow(FileFormatError);
    }
  });

  test("a missing file and a folder", async () => {
    const folder = await temporaryFolder();
    const missing = await errorOf(() => readIdx(join(folder, "none.gz")));
    expect(missing).toBeInstanceOf(FileFormatError);
    expect(missing.describe()).toMatch(
      /none\.gz: the file cannot be read: no such file or folder \(ENOENT\)\n {2}Check/,
    );
    expect((await errorOf(() => readIdx(folder))).message).toMatch(/it is a folder, not a file/);
  });
});

test("packed data longer than its header is unpacked no further than it states", async () => {
  const path = join(await temporaryFolder(), "train-images-idx3-ubyte.gz");
  const long = Buffer.concat([encodeIdx(images), new Uint8Array(200_000_000)]);
  await writeFile(path, gzipSync(long, { level: 1 }));
  const before = process.memoryUsage().arrayBuffers;
  const error = await errorOf(() => readIdx(path));
  expect(error.message).toMatch(/or more bytes follow the 24 bytes of data/);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
});
