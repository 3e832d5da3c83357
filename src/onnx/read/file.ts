/**
 * An ONNX file as it is written, before types: what the importer works on.
 *
 * The reader of onnx-read.ts infers types while it reads, which needs operators in their present form and constant
 * shapes. Files of exporters have neither, so here nodes keep their names for values and nothing is inferred. Bytes are
 * checked as strictly as there: nothing in the file is trusted.
 */

import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  type GraphProto,
  type ValueInfoProto,
} from "onnx-buf";
import { FileFormatError, GraphError, UnsupportedError } from "../../errors.ts";
import { onnxDomain } from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { DType } from "../../ir/types.ts";
import { type PlainAttribute, readAttribute, readAttributes } from "../wire/attribute.ts";
import { notOnnx, openModel, plainDomain } from "../wire/decode.ts";
import { relabelPackedFloats } from "../wire/packed.ts";
import { type ExternalData, readDtype, readShape, readTensor } from "../wire/tensor.ts";
import { readConstant } from "./constant.ts";
import { inputPlace } from "./inputs.ts";
import { orderNodes, showProto } from "./order.ts";
import { remembering } from "./read.ts";

/** An attribute, or the subgraph of an If, a Loop or a Scan. */
export type FileAttribute = PlainAttribute | FileSubgraph;

export interface FileSubgraph {
  readonly subgraph: FileBody;
}

export interface FileNode {
  readonly op: string;
  readonly domain: string;
  /** Never empty: nodes without a name get one of their operator and their first output. */
  readonly name: string;
  /** File and node, as errors name the place. */
  readonly where: string;
  /** Names of values; "" for an optional input that was left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, FileAttribute>;
}

export interface FileInput {
  readonly name: string;
  readonly dtype: DType;
  /** A size, a symbol, or undefined for a size that is open; undefined when not even the rank is known. */
  readonly dimensions: readonly (number | string | undefined)[] | undefined;
}

/** A graph without the types of its inputs, which a subgraph need not state. */
export interface FileBody {
  readonly name: string;
  /** Without those that an initializer gives a value. */
  readonly inputNames: readonly string[];
  readonly outputs: readonly string[];
  /** In an order in which values are made before they are used; without Constant nodes. */
  readonly nodes: readonly FileNode[];
  /** Initializers and Constant nodes. */
  readonly constants: ReadonlyMap<string, Tensor>;
}

export interface FileGraph extends FileBody {
  /** Those of `inputNames`. */
  readonly inputs: readonly FileInput[];
}

export interface OnnxFile {
  readonly graph: FileGraph;
  /** The shapes that the file states of its outputs; undefined for a size that is open. */
  readonly outputShapes: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** The operator versions that the file was written with, by domain; "" is the standard one. */
  readonly opset: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly producer: string;
}

export interface OnnxFileOptions {
  readonly externalData?: ExternalData;
  /** What errors call the file. */
  readonly source?: string;
  /** The bytes, and those of external data, are nobody else's: large tensors stay in them. Default false: in a copy. */
  readonly inPlace?: boolean;
}

/**
 * Decodes an ONNX file. Large tensors are views of the bytes, or of one copy of them: three times the memory would
 * otherwise be taken by the file, its decoded form and the tensors.
 *
 * @throws FileFormatError, GraphError or UnsupportedError, which say where.
 */
export function readOnnxFile(bytes: Uint8Array, options: OnnxFileOptions = {}): OnnxFile {
  const source = options.source ?? "ONNX model";
  const { inPlace = false } = options;
  const own = inPlace ? bytes : new Uint8Array(bytes);
  relabelPackedFloats(own);
  const { graph: graphProto, opset, metadata, producer } = openModel(own, source);
  const reader: Reader = {
    source,
    opset,
    externalData: options.externalData && remembering(inPlace ? options.externalData : copying(options.externalData)),
  };
  const body = readBody(graphProto, reader, () => false);
  const given = new Set(body.inputNames);
  const infos = graphProto.input.filter(({ name }) => given.has(name));
  const inputs = infos.map((info) => readInput(info, `${source}, ${inputPlace(info)}`));
  const outputShapes = new Map(
    graphProto.output.flatMap((info) => {
      const shape = statedShape(info);
      return shape === undefined ? [] : [[info.name, shape] as const];
    }),
  );
  return { graph: { ...body, inputs }, outputShapes, opset, metadata, producer };
}

function statedShape({ type }: ValueInfoProto): readonly (number | undefined)[] | undefined {
  const value = type?.value;
  if (value?.case !== "tensorType" || value.value.shape === undefined) return undefined;
  // Sizes below 1 are how some exporters write that one is open.
  return value.value.shape.dim.map(({ value: size }) =>
    size.case === "dimValue" && size.value > 0n ? Number(size.value) : undefined,
  );
}

interface Reader {
  readonly source: string;
  readonly opset: ReadonlyMap<string, number>;
  readonly externalData: ExternalData | undefined;
}

function copying(read: ExternalData): ExternalData {
  return (location) => {
    const file = read(location);
    return { length: file.length, subarray: (begin, end) => new Uint8Array(file.subarray(begin, end)) };
  };
}

function readBody(proto: GraphProto, reader: Reader, isOuter: (name: string) => boolean): FileBody {
  const { source, externalData } = reader;
  if (proto.sparseInitializer.length > 0) {
    throw new UnsupportedError("sparse initializers are not supported", { where: source, remedy: "Store them dense." });
  }
  const constants = new Map<string, Tensor>();
  const addConstant = (name: string, tensor: Tensor, where: string) => {
    if (name === "" || constants.has(name)) {
      throw new GraphError(name === "" ? "it has no name" : "it is there twice", { where, remedy: notOnnx });
    }
    constants.set(name, tensor);
  };
  for (const tensor of proto.initializer) {
    const where = `${source}, initializer "${tensor.name}"`;
    addConstant(tensor.name, readTensor(tensor, where, externalData, true), where);
  }
  const given = new Set(constants.keys());
  const inputNames: string[] = [];
  for (const info of proto.input) {
    const where = `${source}, ${inputPlace(info)}`;
    if (info.name === "" || inputNames.includes(info.name)) {
      throw new GraphError(info.name === "" ? "it has no name" : "it is there twice", { where, remedy: notOnnx });
    }
    // Old files list their initializers among the inputs, as defaults; nothing else would ever feed them.
    if (!given.has(info.name)) inputNames.push(info.name);
  }
  for (const name of inputNames) given.add(name);
  const ordered = orderNodes(proto.node, given, isOuter, source);
  const made = new Set([...given, ...proto.node.flatMap((node) => node.output)]);
  const isKnown = (name: string) => made.has(name) || isOuter(name);
  const nodes: FileNode[] = [];
  for (const node of ordered) {
    const where = `${source}, ${showProto(node)}`;
    const domain = plainDomain(node.domain);
    if (node.opType === "") throw new FileFormatError("the node has no operator", { where, remedy: notOnnx });
    // The qonnx package leaves out the version of its own domain.
    if (domain === onnxDomain && !reader.opset.has(domain)) {
      throw new FileFormatError(`the file does not say which version of the operator domain "${domain}" it uses`, {
        where,
        remedy: notOnnx,
      });
    }
    if (node.opType === "Constant" && domain === onnxDomain) {
      addConstant(node.output[0] ?? "", readConstant(node.attribute, where, externalData, true), where);
      continue;
    }
    const attributes = readAttributes(node.attribute, where, (attribute, place) =>
      readFileAttribute(attribute, place, reader, isKnown),
    );
    const name = node.name === "" ? `${node.opType}_${node.output.find((output) => output !== "") ?? ""}` : node.name;
    nodes.push({ op: node.opType, domain, name, where, inputs: node.input, outputs: node.output, attributes });
  }
  const outputs = proto.output.map(({ name }, i) => {
    const where = `${source}, output "${name}"`;
    if (!isKnown(name)) throw new GraphError("nothing makes it", { where, remedy: notOnnx });
    if (proto.output.findIndex((other) => other.name === name) !== i) {
      throw new GraphError("it is there twice", { where, remedy: notOnnx });
    }
    return name;
  });
  return { name: proto.name, inputNames, outputs, nodes, constants };
}

const lenient = new TextDecoder();

function readFileAttribute(
  proto: AttributeProto,
  where: string,
  reader: Reader,
  isOuter: (name: string) => boolean,
): FileAttribute {
  // Converters leave operators of their own with texts that are bytes: the operator is what should be refused.
  if (proto.type === AttributeKind.STRING) return lenient.decode(proto.s);
  return readAttribute<FileSubgraph>(proto, where, reader.externalData, (graph) => ({
    subgraph: readBody(graph, reader, isOuter),
  }));
}

function readInput(info: ValueInfoProto, where: string): FileInput {
  const value = info.type?.value;
  if (value?.case !== undefined && value.case !== "tensorType") {
    throw new UnsupportedError(`it is a ${value.case.replace("Type", "")}, not a tensor`, {
      where,
      remedy: "Export the model with tensors as inputs and outputs.",
    });
  }
  const tensor = value?.case === "tensorType" ? value.value : undefined;
  const dtype = readDtype(tensor?.elemType ?? 0, where);
  const dimensions = tensor?.shape?.dim.map(({ value: size }) => {
    if (size.case === "dimParam") return size.value === "" ? undefined : size.value;
    if (size.case === undefined) return undefined;
    // Some exporters write -1 for an open size.
    return size.value < 0n ? undefined : readShape([size.value], where)[0];
  });
  return { name: info.name, dtype, dimensions };
}
