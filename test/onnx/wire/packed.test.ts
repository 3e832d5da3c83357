/** Weights stored as lists of numbers are read without making such lists, and are the same numbers. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "onnx-buf";
import { describe, expect, test } from "vitest";
import { halfToNumber, inFloat32 } from "../../../src/ir/half.ts";
import { readOnnxFile } from "../../../src/onnx/read/file.ts";
import { relabelPackedFloats } from "../../../src/onnx/wire/packed.ts";

const numbers = Array.from({ length: 1000 }, (_, i) => Math.fround(i / 7 - 50));

function tensor(name: string, fields: Partial<Pick<TensorProto, "dataType" | "floatData" | "int64Data" | "rawData">>) {
  const count = (fields.floatData ?? fields.int64Data ?? numbers).length;
  return create(TensorProtoSchema, { name, dims: [BigInt(count)], dataType: 1, ...fields });
}

function model(...initializer: TensorProto[]): ModelProto {
  const attribute = [{ name: "value", type: Kind.TENSOR, t: tensor("", { floatData: numbers }) }];
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "floats",
      initializer,
      node: [{ opType: "Constant", output: ["constant"], attribute }],
      output: [{ name: "constant" }],
    },
  });
}

describe("packed floats", () => {
  const raw = new Uint8Array(Float32Array.from(numbers).buffer);
  const bytes = toBinary(
    ModelProtoSchema,
    model(
      tensor("list", { floatData: numbers }),
      tensor("raw", { rawData: raw }),
      tensor("whole", { dataType: 7, int64Data: [1n, 2n] }),
      // complex64, which keeps pairs in the same list
      tensor("pairs", { dataType: 14, floatData: [1, 2] }),
    ),
  );

  test("become raw bytes, in initializers and in Constant nodes; all else stays", () => {
    const changed = Uint8Array.from(bytes);
    relabelPackedFloats(changed);
    expect(changed.filter((byte, i) => byte !== bytes[i]).length).toBe(2);
    const { graph } = fromBinary(ModelProtoSchema, changed);
    const stored = (name: string) => graph?.initializer.find((each) => each.name === name);
    expect([stored("list")?.rawData, stored("raw")?.rawData]).toEqual([raw, raw]);
    expect([stored("list")?.floatData, stored("pairs")?.floatData]).toEqual([[], [1, 2]]);
    expect(stored("whole")?.int64Data).toEqual([1n, 2n]);
    expect(graph?.node[0]?.attribute[0]?.t?.rawData).toEqual(raw);
  });

  test("are views of the file's bytes where these are given away, and of one copy of them where not", () => {
    const readable = toBinary(ModelProtoSchema, model(tensor("list", { floatData: numbers })));
    const before = Uint8Array.from(readable);
    const copied = readOnnxFile(readable).graph.constants;
    expect(readable).toEqual(before);
    const own = readOnnxFile(readable, { inPlace: true }).graph.constants;
    for (const name of ["list", "constant"]) {
      expect([...(copied.get(name)?.data ?? [])]).toEqual(numbers);
      expect([...(own.get(name)?.data ?? [])]).toEqual(numbers);
    }
    const buffers = (constants: typeof own) =>
      new Set([...constants.values()].map(({ data }) => (ArrayBuffer.isView(data) ? data.buffer : undefined)));
    expect([...buffers(own)]).toEqual([readable.buffer]);
    expect(buffers(copied).size).toBe(1);
    expect(buffers(copied).has(readable.buffer)).toBe(false);
  });

  test("in several pieces are left to the decoder", () => {
    // Two messages one after the other are one message, whose lists are joined.
    const piece = (values: number[]) => toBinary(TensorProtoSchema, create(TensorProtoSchema, { floatData: values }));
    const whole = [...toBinary(TensorProtoSchema, tensor("list", { floatData: [1, 2] })), ...piece([3])];
    const field = (tag: number, content: number[]) => [tag, content.length, ...content];
    const file = Uint8Array.from(field((7 << 3) | 2, field((5 << 3) | 2, whole)));
    const before = Uint8Array.from(file);
    relabelPackedFloats(file);
    expect(file).toEqual(before);
    expect(fromBinary(ModelProtoSchema, file).graph?.initializer[0]?.floatData).toEqual([1, 2, 3]);
  });

  test("graphs inside of one another without end are no trouble", () => {
    let content: Uint8Array = new Uint8Array(0);
    const around = (tag: number) => {
      const length: number[] = [];
      for (let rest = content.length; ; rest >>>= 7) {
        length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
        if (rest <= 0x7f) break;
      }
      content = Uint8Array.from([tag, ...length, ...content]);
    };
    for (let depth = 0; depth < 2000; depth++) for (const tag of [0x32, 0x2a, 0x0a]) around(tag);
    around(0x3a);
    expect(() => relabelPackedFloats(content)).not.toThrow();
    expect(() => readOnnxFile(content)).toThrow(/nested more than 100 deep/);
  });
});

test("every half is the number that it stands for, wherever it is looked up", () => {
  const halves = Uint16Array.from({ length: 2 ** 16 }, (_, half) => half);
  const wide = inFloat32({ dtype: "float16", shape: [halves.length], data: halves }).data;
  expect([...wide]).toEqual(Array.from(halves, halfToNumber));
  expect([halfToNumber(0x3c00), halfToNumber(0x0001), halfToNumber(0xfbff)]).toEqual([1, 2 ** -24, -65504]);
});
