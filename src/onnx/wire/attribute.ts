/** The attributes of ONNX nodes: a tagged union in the file, checked here and never trusted. */

import { AttributeProto_AttributeType as AttributeKind, type AttributeProto, type GraphProto } from "onnx-buf";
import { FileFormatError, UnsupportedError } from "../../errors.ts";
import type { Attribute, Graph } from "../../ir/graph.ts";
import { notOnnx } from "./decode.ts";
import { type ExternalData, readTensor, readText } from "./tensor.ts";

/** Every attribute but those that hold a graph. */
export type PlainAttribute = Exclude<Attribute, { readonly graph: Graph }>;

/**
 * The value of an attribute; `readGraph` makes what the reader keeps for a subgraph.
 *
 * @throws FileFormatError when it has no value, UnsupportedError for kinds that subbyte does not hold.
 */
export function readAttribute<Inner>(
  proto: AttributeProto,
  where: string,
  externalData: ExternalData | undefined,
  readGraph: (graph: GraphProto) => Inner,
): PlainAttribute | Inner {
  switch (proto.type) {
    case AttributeKind.INT:
      return Number(proto.i);
    case AttributeKind.INTS:
      return proto.ints.map(Number);
    case AttributeKind.FLOAT:
      return { float: proto.f };
    case AttributeKind.FLOATS:
      return { floats: proto.floats };
    case AttributeKind.STRING:
      return readText(proto.s, where);
    case AttributeKind.STRINGS:
      return { strings: proto.strings.map((text) => readText(text, where)) };
    case AttributeKind.TENSOR:
      if (proto.t !== undefined) return { tensor: readTensor(proto.t, where, externalData) };
      break;
    case AttributeKind.GRAPH:
      if (proto.g !== undefined) return readGraph(proto.g);
      break;
    case AttributeKind.UNDEFINED:
      break;
    default:
      throw new UnsupportedError(`attributes of kind ${AttributeKind[proto.type] ?? proto.type} are not supported`, {
        where,
        remedy: "Export the model without it.",
      });
  }
  throw new FileFormatError("the attribute has no value", { where, remedy: notOnnx });
}

/** All attributes of a node by name. @throws FileFormatError for one without a name, or that is there twice. */
export function readAttributes<Inner>(
  protos: readonly AttributeProto[],
  where: string,
  read: (proto: AttributeProto, where: string) => Inner,
): Map<string, Inner> {
  const attributes = new Map<string, Inner>();
  for (const attribute of protos) {
    const place = `${where}, attribute "${attribute.name}"`;
    if (attribute.name === "" || attributes.has(attribute.name)) {
      throw new FileFormatError("it occurs twice or has no name", { where: place, remedy: notOnnx });
    }
    attributes.set(attribute.name, read(attribute, place));
  }
  return attributes;
}
