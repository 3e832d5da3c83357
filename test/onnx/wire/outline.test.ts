/** A model's file is read without its large tensors, which then are read one by one, and nothing is lost of it. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType as Kind, type ModelProto, ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { describe, expect, test } from "vitest";
import type { DataBytes } from "../../../src/ir/data-bytes.ts";
import { halfToNumber } from "../../../src/ir/half.ts";
import { readOnnxFile } from "../../../src/onnx/read/file.ts";
import { outlineModel, ownFile } from "../../../src/onnx/wire/outline.ts";

const count = 40_000;
const numbers = Array.from({ length: count }, (_, i) => Math.fround(i / 7 - 50));
const halves = Uint16Array.from({ length: count }, (_, i) => (i * 31) % 0x7c00);

function tensor(name: string, fields: Parameters<typeof create<typeof TensorProtoSchema>>[1]) {
  return create(TensorProtoSchema, { name, dims: [BigInt(count)], dataType: 1, ...fields });
}

function model(): ModelProto {
  const raw = new Uint8Array(Float32Array.from(numbers).buffer);
  const attribute = [{ name: "value", type: Kind.TENSOR, t: tensor("", { rawData: raw }) }];
  return create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "someone",
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "large",
      initializer: [
        tensor("raw", { rawData: raw }),
        tensor("list", { floatData: numbers }),
        tensor("half", { dataType: 10, rawData: new Uint8Array(halves.buffer) }),
        tensor("whole", { dataType: 7, int64Data: Array.from({ length: count }, (_, i) => BigInt(i)) }),
        tensor("small", { dims: [2n], rawData: new Uint8Array(8) }),
      ],
      node: [{ opType: "Constant", output: ["constant"], attribute }],
      output: [{ name: "constant" }],
    },
    metadataProps: [{ key: "after", value: "the graph" }],
  });
}

const bytes = toBinary(ModelProtoSchema, model());

/** Whether a file cannot be read. */
function refuses(file: Uint8Array): boolean {
  try {
    readOnnxFile(file);
    return false;
  } catch {
    return true;
  }
}

/** The file, with the size of what was read of it at once. */
function watched(file: Uint8Array): DataBytes & { largest(): number } {
  let largest = 0;
  return {
    length: file.length,
    subarray: (begin, end) => {
      largest = Math.max(largest, end - begin);
      return file.slice(begin, end);
    },
    largest: () => largest,
  };
}

function outlined(file: Uint8Array): Uint8Array {
  const outline = outlineModel(watched(file));
  if (outline === undefined) throw new Error("no outline");
  return outline;
}

describe("the outline of a model", () => {
  test("has all of the file but the bytes of its large tensors", () => {
    const decoded = fromBinary(ModelProtoSchema, outlined(bytes));
    const places = decoded.graph?.initializer.map(({ name, externalData, rawData }) => [
      name,
      externalData.map(({ value }) => value)[0],
      rawData.length,
    ]);
    const besides = ["raw", "list", "half"].map((name) => [name, ownFile, 0]);
    expect(places).toEqual([...besides, ["whole", undefined, 0], ["small", undefined, 8]]);
    expect(decoded.producerName).toBe("someone");
    expect(decoded.metadataProps[0]?.value).toBe("the graph");
    expect(decoded.graph?.initializer[3]?.int64Data).toEqual(model().graph?.initializer[3]?.int64Data);
  });

  test("is what the reader decodes of a file that is not in memory", () => {
    const file = watched(bytes);
    const whole = readOnnxFile(bytes).graph.constants;
    for (const [name, tensor] of readOnnxFile(file, { inPlace: true }).graph.constants) {
      const expected = whole.get(name);
      const isHalf = expected?.dtype === "float16";
      expect(tensor.shape).toEqual(expected?.shape);
      expect([...tensor.data]).toEqual(isHalf ? Array.from(halves, halfToNumber) : [...(expected?.data ?? [])]);
    }
    expect(file.largest()).toBeLessThan(bytes.length / 2);
  });

  test("is read as the same tensors, halves as the numbers that they are", () => {
    const whole = readOnnxFile(bytes).graph.constants;
    const file = watched(bytes);
    const outline = outlineModel(file);
    const parts = readOnnxFile(outline ?? bytes, { inPlace: true, externalData: () => file }).graph.constants;
    for (const name of ["raw", "list", "whole", "small", "constant"]) {
      expect(parts.get(name)?.data, name).toEqual(whole.get(name)?.data);
    }
    expect(whole.get("half")).toMatchObject({ dtype: "float16", data: halves });
    expect(parts.get("half")).toEqual({
      dtype: "float32",
      shape: [count],
      data: Float32Array.from(halves, halfToNumber),
    });
    expect(file.largest()).toBeLessThan(bytes.length / 2);
  });

  test("of a file that is cut off is none, wherever the cut is", () => {
    for (let length = 1; length < bytes.length; length += 4999) {
      const outline = outlineModel(watched(bytes.subarray(0, length)));
      // A cut between two fields leaves a message that is whole.
      const isRefused = outline === undefined || refuses(outline);
      expect(isRefused, `cut at ${length}`).toBe(true);
    }
  });

  test("of graphs inside of one another without end is no trouble", () => {
    let content: Uint8Array = new Uint8Array(2 ** 17);
    const around = (tag: number) => {
      const length: number[] = [];
      for (let rest = content.length; ; rest >>>= 7) {
        length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
        if (rest <= 0x7f) break;
      }
      const outer = new Uint8Array(1 + length.length + content.length);
      outer.set([tag, ...length]);
      outer.set(content, 1 + length.length);
      content = outer;
    };
    for (let depth = 0; depth < 1000; depth++) for (const tag of [0x32, 0x2a, 0x0a]) around(tag);
    around(0x3a);
    expect(() => outlineModel(watched(content))).not.toThrow();
  });
});
