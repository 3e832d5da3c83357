/** Makes ONNX files that our writer would never make, for tests of the reader. */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { GraphProtoSchema, ModelProtoSchema, type ValueInfoProtoSchema } from "onnx-buf";

/** The fields of a graph, as protobuf's `create` takes them. */
export type GraphInit = MessageInitShape<typeof GraphProtoSchema>;

interface Header {
  readonly opsetImport?: readonly { readonly domain: string; readonly version: bigint }[];
}

/** A model around a graph, with opset 21 unless the header says otherwise. */
export function modelBytes(graph: GraphInit, header: Header = {}): Uint8Array {
  const opsetImport = [...(header.opsetImport ?? [{ domain: "", version: 21n }])];
  const model = create(ModelProtoSchema, { irVersion: 10n, opsetImport, graph: create(GraphProtoSchema, graph) });
  return toBinary(ModelProtoSchema, model);
}

/** A float32 input or output; strings are symbols, undefined is a dimension without a name. */
export function info(
  name: string,
  dims: readonly (number | string | undefined)[],
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = dims.map((size) => {
    if (size === undefined) return {};
    if (typeof size === "string") return { value: { case: "dimParam" as const, value: size } };
    return { value: { case: "dimValue" as const, value: BigInt(size) } };
  });
  return { name, type: { value: { case: "tensorType", value: { elemType: 1, shape: { dim } } } } };
}

/** The bytes of float32 numbers. */
export function floatBytes(...numbers: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(numbers).buffer);
}
