import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FileFormatError, SubbyteError } from "../../src/errors.ts";
import { float32Tensor, int64Tensor, makeTensor } from "../../src/ir/tensor.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/runs/safetensors.ts";

function bytesOf(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const example = bytesOf(
  encodeSafetensors({
    tensors: new Map([
      ["weight", float32Tensor([2, 2], [1, -2.5, Number.NaN, 0])],
      ["codes", makeTensor("int8", [3], Int8Array.of(-8, 0, 7))],
      ["counts", int64Tensor([1, 2 ** 40])],
      ["empty", float32Tensor([0, 4], [])],
    ]),
    metadata: { note: "two levels: 0 and 1" },
  }),
);

describe("safetensors", () => {
  it("reads back what it wrote", () => {
    const { tensors, metadata } = decodeSafetensors(example, "example");
    expect(metadata).toEqual({ note: "two levels: 0 and 1" });
    expect([...tensors.keys()]).toEqual(["weight", "codes", "counts", "empty"]);
    expect(tensors.get("weight")).toEqual(float32Tensor([2, 2], [1, -2.5, Number.NaN, 0]));
    expect(tensors.get("counts")?.data).toEqual(BigInt64Array.of(1n, 2n ** 40n));
    expect(tensors.get("empty")?.shape).toEqual([0, 4]);
  });

  it("has the layout that other readers expect", () => {
    const length = Number(new DataView(example.buffer, example.byteOffset).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(example.subarray(8, 8 + length)));
    expect(header.weight).toEqual({ dtype: "F32", shape: [2, 2], data_offsets: [0, 16] });
    expect(header.codes).toEqual({ dtype: "I8", shape: [3], data_offsets: [16, 19] });
  });

  it("refuses every truncation with the file's name", () => {
    for (let length = 0; length < example.length; length++) {
      expect(() => decodeSafetensors(example.slice(0, length), "cut.safetensors")).toThrow(FileFormatError);
    }
  });

  it("refuses tensors that overlap, gaps between them, and bytes after the last one", () => {
    const headed = (header: object, bytes: number) => {
      const text = new TextEncoder().encode(JSON.stringify(header));
      const file = new Uint8Array(8 + text.length + bytes);
      new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
      file.set(text, 8);
      return file;
    };
    const tensor = (begin: number, end: number) => ({
      dtype: "U8",
      shape: [end - begin],
      data_offsets: [begin, end],
    });
    const decode = (header: object, bytes: number) => () => decodeSafetensors(headed(header, bytes), "layout");
    expect(decode({ a: tensor(0, 4), b: tensor(4, 8) }, 8)).not.toThrow();
    // A thousand tensors of the same bytes would need a thousand times the memory of the file.
    expect(decode({ a: tensor(0, 4), b: tensor(0, 4) }, 4)).toThrow('tensor "b" overlaps');
    expect(decode({ a: tensor(0, 4), b: tensor(3, 8) }, 8)).toThrow('tensor "b" overlaps');
    expect(decode({ a: tensor(0, 4), b: tensor(5, 8) }, 8)).toThrow("belong to no tensor");
    expect(decode({ a: tensor(0, 4) }, 8)).toThrow("4 bytes after the last tensor");
  });

  it("answers damaged bytes with an error of ours or a file, never a crash", () => {
    fc.assert(
      fc.property(fc.nat(example.length - 1), fc.integer({ min: 1, max: 255 }), (position, change) => {
        const damaged = example.slice();
        damaged[position] = (damaged[position] ?? 0) ^ change;
        try {
          decodeSafetensors(damaged, "damaged");
        } catch (error) {
          expect(error).toBeInstanceOf(SubbyteError);
        }
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});
