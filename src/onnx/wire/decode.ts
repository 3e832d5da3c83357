/** Decodes the bytes of an ONNX file, and recognises the files that people mistake for one. */

import { fromBinary } from "@bufbuild/protobuf";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "onnx-buf";
import { FileFormatError } from "../../errors.ts";
import { onnxDomain } from "../../ir/graph.ts";
import { checkDecodedSize } from "./decoded-size.ts";

/** The remedy for a file that breaks the rules of ONNX. */
export const notOnnx = "Check that the file is an ONNX model and was copied completely.";

/** Files that are mistaken for ONNX models, by how they begin. */
const mistaken: readonly (readonly [start: string, what: string])[] = [
  ["PK", "a zip archive (a PyTorch checkpoint?): export it with torch.onnx.export"],
  ["version https://git-lfs", "a pointer to a file in Git LFS: fetch the file with git lfs pull"],
  ["\x89HDF", "an HDF5 file (a Keras model?): convert it with tf2onnx"],
  ["<", "a web page: download the file itself"],
  ["{", "a JSON file"],
];

/** The decoded message. @throws FileFormatError when the bytes are something else or not all there. */
function decodeModel(bytes: Uint8Array, source: string): ModelProto {
  if (bytes.length === 0) throw new FileFormatError("the file is empty", { where: source, remedy: notOnnx });
  const start = String.fromCharCode(...bytes.subarray(0, 32));
  const other = mistaken.find(([prefix]) => start.startsWith(prefix));
  if (other !== undefined) {
    throw new FileFormatError(`this is not an ONNX model but ${other[1]}`, { where: source, remedy: notOnnx });
  }
  checkDecodedSize(bytes, source);
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileFormatError(`it is not a whole ONNX model (${reason})`, {
      where: source,
      remedy: notOnnx,
      cause,
    });
  }
}

/** ONNX has two names for the domain of its standard operators. */
export function plainDomain(domain: string): string {
  return domain === "ai.onnx" ? onnxDomain : domain;
}

/** A decoded file, with what it says of itself. */
export interface OpenedModel {
  readonly graph: GraphProto;
  /** Versions of the operator sets, by domain. */
  readonly opset: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The program that wrote the file, with its version. */
  readonly producer: string;
}

/** Decodes a file and checks what every reader needs. @throws FileFormatError when it holds no graph, or absurd versions. */
export function openModel(bytes: Uint8Array, source: string): OpenedModel {
  const proto = decodeModel(bytes, source);
  if (proto.graph === undefined || proto.graph.output.length === 0) {
    throw new FileFormatError("the file holds no graph with outputs", { where: source, remedy: notOnnx });
  }
  const opset = new Map<string, number>();
  for (const { domain, version } of proto.opsetImport) {
    if (version < 1n || version > 10_000n) {
      throw new FileFormatError(`operator set ${version} of domain "${domain}" does not exist`, {
        where: source,
        remedy: notOnnx,
      });
    }
    opset.set(plainDomain(domain), Number(version));
  }
  const metadata = new Map(proto.metadataProps.map(({ key, value }) => [key, value]));
  return { graph: proto.graph, opset, metadata, producer: `${proto.producerName} ${proto.producerVersion}`.trim() };
}
