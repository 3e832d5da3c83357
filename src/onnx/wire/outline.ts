/**
 * A model's file without the bytes of its large tensors, which then are read one by one, straight to where they stay: a file
 * in memory next to all that is made of it takes three times the memory where weights are float16.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { TensorProto_DataLocation as DataLocation, TensorProtoSchema } from "onnx-buf";
import { byteReader, type DataBytes, joined } from "../../ir/data-bytes.ts";
import { elementBytes, fields, heldBy, type Kind } from "./wire.ts";

/** The location that stands for the model's own file. No file has a name with this character. */
export const ownFile = "\0";

/** Below this size bytes stay in the outline. */
const largeBytes = 2 ** 16;

/** Graphs lie inside of one another in files that mean well too, but not without end. */
const deepest = 50;

/**
 * The file as a model whose large tensors lie in external data, at the location `ownFile`. Undefined where the bytes are
 * damaged, for the decoder to say how.
 */
export function outlineModel(file: DataBytes): Uint8Array | undefined {
  const parts = outlineMessage({ file, byteAt: byteReader(file) }, "model", 0, file.length, 0);
  return parts === undefined ? undefined : joined(parts);
}

interface Source {
  readonly file: DataBytes;
  readonly byteAt: (position: number) => number;
}

function outlineMessage(
  source: Source,
  kind: Kind,
  start: number,
  end: number,
  depth: number,
): readonly Uint8Array[] | undefined {
  const parts: Uint8Array[] = [];
  let copied = start;
  let last = start;
  const copyTo = (position: number) => {
    if (position > copied) parts.push(source.file.subarray(copied, position));
  };
  const data = kind === "tensor" ? elementBytes(source.byteAt, start, end) : undefined;
  for (const field of fields(source.byteAt, start, end)) {
    last = field.end;
    const size = field.end - field.start;
    if (size < largeBytes || depth > deepest) continue;
    const held = heldBy(kind, field);
    if (held !== undefined) {
      const content = outlineMessage(source, held, field.start, field.end, depth + 1);
      if (content === undefined) return undefined;
      copyTo(field.tagAt);
      const length = content.reduce((sum, part) => sum + part.length, 0);
      parts.push(new BinaryWriter().uint64(field.tag).uint64(length).finish(), ...content);
      copied = field.end;
    } else if (field.start === data?.start) {
      copyTo(field.tagAt);
      parts.push(reference(field.start, size));
      copied = field.end;
    }
  }
  copyTo(end);
  return last === end ? parts : undefined;
}

/** Fields of a tensor: a message's fields may come in any order and in several pieces. */
function reference(offset: number, length: number): Uint8Array {
  const entry = (key: string, value: string) => ({ $typeName: "onnx.StringStringEntryProto" as const, key, value });
  const externalData = [entry("location", ownFile), entry("offset", String(offset)), entry("length", String(length))];
  return toBinary(TensorProtoSchema, create(TensorProtoSchema, { externalData, dataLocation: DataLocation.EXTERNAL }));
}
