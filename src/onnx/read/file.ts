/**
 * The one decoder of ONNX files: what is written, before types. Nothing in the file is trusted.
 *
 * Nodes keep their names for values and nothing is inferred, since that needs operators in their present form and constant
 * shapes: the importer brings them there, and read.ts infers the types of files that are so already.
 */

import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  type GraphProto,
  type TypeProto_Tensor,
  type ValueInfoProto,
} from "onnx-buf";
import { FileFormatError, GraphError, UnsupportedError } from "../../errors.ts";
import type { DataBytes } from "../../ir/data-bytes.ts";
import { onnxDomain } from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { DType, TensorType } from "../../ir/types.ts";
import { type PlainAttribute, readAttribute, readAttributes } from "../wire/attribute.ts";
import { notOnnx, openModel, plainDomain } from "../wire/decode.ts";
import { outlineModel, ownFile } from "../wire/outline.ts";
import { relabelPackedFloats } from "../wire/packed.ts";
import { type ExternalData, missingFile, readDtype, readShape, readTensor } from "../wire/tensor.ts";
import { readConstant } from "./constant.ts";
import { checkNames } from "./names.ts";
import { orderNodes, showProto } from "./order.ts";

/** An attribute, or the subgraph of an If, a Loop or a Scan. */
export type FileAttribute = PlainAttribute | FileSubgraph;

/** An attribute that is a graph. */
export interface FileSubgraph {
  readonly subgraph: FileBody;
}

/** A node as the file states it. */
export interface FileNode {
  readonly op: string;
  readonly domain: string;
  /** Never empty: nodes without a name get one of their operator and their first output. */
  readonly name: string;
  /** Its name in the file, which may be empty. */
  readonly givenName: string;
  /** Its number in the order of the nodes, Constant nodes counted too. */
  readonly position: number;
  /** File and node, as errors name the place. */
  readonly where: string;
  /** Names of values; "" for an optional input that was left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, FileAttribute>;
}

/** An input as the file states it. */
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
  /** Present where the file is read strictly. */
  readonly stated?: StatedTypes;
}

/** The interface of a graph, as far as a file states it. */
export interface StatedTypes {
  readonly inputs: ReadonlyMap<string, TensorType>;
  readonly outputs: ReadonlyMap<string, DType>;
}

/** The main graph of a file. */
export interface FileGraph extends FileBody {
  /** Those of `inputNames`. */
  readonly inputs: readonly FileInput[];
}

/** A decoded ONNX file. */
export interface OnnxFile {
  readonly graph: FileGraph;
  /** The shapes that the file states of its outputs; undefined for a size that is open. */
  readonly outputShapes: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** The operator versions that the file was written with, by domain; "" is the standard one. */
  readonly opset: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The program that wrote the file, with its version. */
  readonly producer: string;
}

/** External data of a file, and its name in errors. */
export interface OnnxFileOptions {
  readonly externalData?: ExternalData;
  /** The name of the file in errors. */
  readonly source?: string;
  /** The bytes, and those of external data, are nobody else's: large tensors stay in them. Default false: in a copy. */
  readonly inPlace?: boolean;
  /**
   * Refuses what exporters get wrong and the importer reads over: texts that are no UTF-8, negative sizes, domains without
   * a version, and types of subgraphs that are none. Default false.
   */
  readonly strict?: boolean;
}

/**
 * Decodes an ONNX file. Large tensors are views of the bytes, or of one copy of them: three times the memory would
 * otherwise be taken by the file, its decoded form and the tensors. Of bytes that are not in memory only the outline is
 * decoded at once, and large tensors are read one at a time.
 *
 * @param file A model in memory, or what gives parts of one.
 * @throws FileFormatError, GraphError or UnsupportedError, which say where.
 */
export function readOnnxFile(file: DataBytes, options: OnnxFileOptions = {}): OnnxFile {
  if (!(file instanceof Uint8Array)) return readOutline(file, options);
  const { source = "ONNX model", inPlace = false, strict = false } = options;
  const own = inPlace ? file : new Uint8Array(file);
  relabelPackedFloats(own);
  const { graph: graphProto, opset, metadata, producer } = openModel(own, source);
  const reader: Reader = {
    source,
    opset,
    strict,
    externalData: options.externalData && remembering(inPlace ? options.externalData : copying(options.externalData)),
  };
  const body = readBody(graphProto, reader, () => false);
  const given = new Set(body.inputNames);
  const infos = graphProto.input.filter(({ name }) => given.has(name));
  const inputs = infos.map((info) => readInput(info, `${source}, ${inputPlace(info)}`, strict));
  const outputShapes = new Map(
    graphProto.output.flatMap((info) => {
      const shape = statedShape(info);
      return shape === undefined ? [] : [[info.name, shape] as const];
    }),
  );
  return { graph: { ...body, inputs }, outputShapes, opset, metadata, producer };
}

/** Reads a model of which parts are in memory: its large tensors are external data that lie in the file itself. */
function readOutline(file: DataBytes, options: OnnxFileOptions): OnnxFile {
  const bytes = outlineModel(file) ?? file.subarray(0, file.length);
  const externalData: ExternalData = (location) => {
    if (location === ownFile) return file;
    if (options.externalData === undefined) throw missingFile(location, options.source ?? "ONNX model");
    return (options.inPlace === true ? options.externalData : copying(options.externalData))(location);
  };
  return readOnnxFile(bytes, { ...options, inPlace: true, externalData });
}

/** A model's tensors mostly share one data file. */
function remembering(read: ExternalData): ExternalData {
  const known = new Map<string, DataBytes>();
  return (location) => {
    const bytes = known.get(location) ?? read(location);
    known.set(location, bytes);
    return bytes;
  };
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
  readonly strict: boolean;
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
  checkNames(proto, source);
  const constants = new Map<string, Tensor>();
  const addConstant = (name: string, tensor: Tensor, where: string) => {
    if (name === "" || constants.has(name)) {
      throw new GraphError(name === "" ? "it has no name" : "it occurs twice", { where, remedy: notOnnx });
    }
    constants.set(name, tensor);
  };
  for (const tensor of proto.initializer) {
    const where = `${source}, initializer "${tensor.name}"`;
    addConstant(tensor.name, readTensor(tensor, where, externalData, true), where);
  }
  const given = new Set(constants.keys());
  const fed = new Set<string>();
  for (const info of proto.input) {
    const where = `${source}, ${inputPlace(info)}`;
    if (info.name === "" || fed.has(info.name)) {
      throw new GraphError(info.name === "" ? "it has no name" : "it occurs twice", { where, remedy: notOnnx });
    }
    // Old files list their initializers among the inputs, as defaults; nothing else would ever feed them.
    if (!given.has(info.name)) fed.add(info.name);
  }
  const inputNames = [...fed];
  for (const name of inputNames) given.add(name);
  const ordered = orderNodes(proto.node, given, isOuter, source);
  const made = new Set([...given, ...proto.node.flatMap((node) => node.output)]);
  const isKnown = (name: string) => made.has(name) || isOuter(name);
  const nodes: FileNode[] = [];
  for (const [position, node] of ordered.entries()) {
    const where = `${source}, ${showProto(node)}`;
    const domain = plainDomain(node.domain);
    if (node.opType === "") throw new FileFormatError("the node has no operator", { where, remedy: notOnnx });
    // The qonnx package leaves out the version of its own domain.
    if ((domain === onnxDomain || reader.strict) && !reader.opset.has(domain)) {
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
    const givenName = node.name;
    const name = givenName === "" ? `${node.opType}_${node.output.find((output) => output !== "") ?? ""}` : givenName;
    nodes.push({
      op: node.opType,
      domain,
      name,
      givenName,
      position,
      where,
      inputs: node.input,
      outputs: node.output,
      attributes,
    });
  }
  const listed = new Set<string>();
  const outputs = proto.output.map(({ name }) => {
    const where = `${source}, output "${name}"`;
    if (!isKnown(name)) throw new GraphError("nothing makes it", { where, remedy: notOnnx });
    if (listed.has(name)) throw new GraphError("it occurs twice", { where, remedy: notOnnx });
    listed.add(name);
    return name;
  });
  const body = { name: proto.name, inputNames, outputs, nodes, constants };
  return reader.strict ? { ...body, stated: statedTypes(proto, inputNames, source) } : body;
}

function statedTypes(proto: GraphProto, inputNames: readonly string[], source: string): StatedTypes {
  const own = new Set(inputNames);
  const inputs = proto.input.flatMap((info) => {
    const type = own.has(info.name) ? statedType(info, `${source}, ${inputPlace(info)}`) : undefined;
    return type === undefined ? [] : [[info.name, type] as const];
  });
  const outputs = proto.output.flatMap(({ name, type }) => {
    const elemType = type?.value.case === "tensorType" ? type.value.value.elemType : 0;
    return elemType === 0 ? [] : [[name, readDtype(elemType, `${source}, output "${name}"`)] as const];
  });
  return { inputs: new Map(inputs), outputs: new Map(outputs) };
}

/** The type of an input where the file states all of it. */
function statedType(info: ValueInfoProto, where: string): TensorType | undefined {
  const tensor = tensorTypeOf(info, where);
  if (tensor?.shape === undefined || tensor.elemType === 0) return undefined;
  const sizes: bigint[] = [];
  for (const { value } of tensor.shape.dim) {
    if (value.case !== "dimValue") return undefined;
    // The top graph's are checked when they are bound.
    if (value.value < 0n) return undefined;
    sizes.push(value.value);
  }
  return { dtype: readDtype(tensor.elemType, where), shape: readShape(sizes, where) };
}

const lenient = new TextDecoder();

function readFileAttribute(
  proto: AttributeProto,
  where: string,
  reader: Reader,
  isOuter: (name: string) => boolean,
): FileAttribute {
  // Converters leave operators of their own with texts that are bytes: the operator is what should be refused.
  if (!reader.strict && proto.type === AttributeKind.STRING) return lenient.decode(proto.s);
  return readAttribute<FileSubgraph>(proto, where, reader.externalData, (graph) => ({
    subgraph: readBody(graph, reader, isOuter),
  }));
}

function readInput(info: ValueInfoProto, where: string, strict: boolean): FileInput {
  const tensor = tensorTypeOf(info, where);
  const dtype = readDtype(tensor?.elemType ?? 0, where);
  const dimensions = tensor?.shape?.dim.map(({ value: size }) => {
    if (size.case === "dimParam") return size.value === "" ? undefined : size.value;
    if (size.case === undefined) return undefined;
    // Some exporters write -1 for an open size.
    return size.value < 0n && !strict ? undefined : readShape([size.value], where)[0];
  });
  return { name: info.name, dtype, dimensions };
}

function tensorTypeOf({ type }: ValueInfoProto, where: string): TypeProto_Tensor | undefined {
  const value = type?.value;
  if (value?.case === undefined) return undefined;
  if (value.case === "tensorType") return value.value;
  throw new UnsupportedError(`it is a ${value.case.replace("Type", "")}, not a tensor`, {
    where,
    remedy: "Export the model with tensors as inputs and outputs.",
  });
}

/** `input "image"`, as errors name an input. */
function inputPlace({ name }: ValueInfoProto): string {
  return `input "${name}"`;
}
