/**
 * Writes a graph as an ONNX file.
 *
 * ONNX identifies values by name where a graph identifies them by identity, so most of this file is about names: inputs
 * and outputs keep theirs, because callers feed and fetch by them; all others are made unique, across subgraphs too,
 * because a subgraph sees the names of the graph around it.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_SequenceSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "onnx-buf";
import { GraphError } from "../../errors.ts";
import { type Attribute, type Graph, type Node, onnxDomain, showNode, type Value } from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { TensorType } from "../../ir/types.ts";
import { dtypeToOnnx, firstOpsetWith, irVersionOf, rawBytes } from "../wire/proto.ts";

/** Opset, metadata and symbols of a written file. */
export interface OnnxWriteOptions {
  /** Version of the standard operators; raised to what the element types need. Default 21. */
  readonly opset?: number;
  /** Default: the one that was published with the opset. */
  readonly irVersion?: number;
  readonly producer?: string;
  /** Versions of the other domains; only those that nodes use are imported. Added to the defaults. */
  readonly domains?: Readonly<Record<string, number>>;
  /** Returns the name of a size of an input or output that is left open; undefined for one that is written as it is. */
  readonly symbols?: (value: Value, axis: number) => string | undefined;
  /** Kept in the file as `metadata_props`. */
  readonly metadata?: ReadonlyMap<string, string>;
}

const defaultOpset = 21;
const defaultDomains: Readonly<Record<string, number>> = { "com.microsoft": 1, "com.microsoft.nchwc": 1, subbyte: 1 };

/**
 * Encodes a graph as an ONNX model. @throws GraphError for a value without a producer, clashing names or an unknown domain.
 *
 * @example
 * console.log(writeOnnx(network.graph).byteLength > 0); // true: the graph, with its parameters as inputs
 */
export function writeOnnx(graph: Graph, options: OnnxWriteOptions = {}): Uint8Array<ArrayBuffer> {
  const symbols = options.symbols ?? (() => undefined);
  const use: Use = { opset: options.opset ?? defaultOpset, domains: new Map(), symbols };
  const nodeNames = new Names();
  const names = { values: new Names(), nodes: nodeNames, ofNode: namesOfNodes(graph, nodeNames) };
  const writer = new GraphWriter(names, use, undefined);
  const proto = writer.write(graph);
  const domains = { ...defaultDomains, ...options.domains };
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: onnxDomain, version: BigInt(use.opset) })];
  for (const [domain, node] of use.domains) {
    const version = domains[domain];
    if (version === undefined) {
      throw new GraphError(`no version is known for the operator domain "${domain}"`, {
        where: showNode(node),
        remedy: `Pass it to writeOnnx: domains: { "${domain}": 1 }.`,
      });
    }
    opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }));
  }
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(options.irVersion ?? irVersionOf(use.opset)),
    producerName: options.producer ?? "subbyte",
    opsetImport,
    graph: proto,
    metadataProps: [...(options.metadata ?? [])].map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, model);
}

/**
 * The beginning of a model whose first output is an empty sequence of float32 tensors. Protobuf reads two messages one
 * after the other as one, so a model's own bytes may follow.
 */
export function emptySequenceOutput(name: string): Uint8Array<ArrayBuffer> {
  const elemType = create(TypeProtoSchema, {
    value: { case: "tensorType", value: create(TypeProto_TensorSchema, { elemType: dtypeToOnnx("float32") }) },
  });
  const type = create(TypeProtoSchema, {
    value: { case: "sequenceType", value: create(TypeProto_SequenceSchema, { elemType }) },
  });
  const graph = create(GraphProtoSchema, {
    node: [create(NodeProtoSchema, { name, opType: "SequenceEmpty", output: [name] })],
    output: [create(ValueInfoProtoSchema, { name, type })],
  });
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { graph }));
}

/** The requirements of the nodes so far on the file's header. */
interface Use {
  opset: number;
  /** Each domain other than the standard one, with the first node that uses it. */
  readonly domains: Map<string, Node>;
  readonly symbols: NonNullable<OnnxWriteOptions["symbols"]>;
}

/** Hands out names that were not handed out before. */
class Names {
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();

  /** Takes a name as it is; false when it is taken already. */
  reserve(name: string): boolean {
    if (this.#taken.has(name)) return false;
    this.#taken.add(name);
    return true;
  }

  /** The name itself, or with `_1`, `_2`, … appended. */
  unique(wanted: string): string {
    if (this.reserve(wanted)) return wanted;
    let number = this.#next.get(wanted) ?? 1;
    while (!this.reserve(`${wanted}_${number}`)) number++;
    this.#next.set(wanted, number + 1);
    return `${wanted}_${number}`;
  }
}

/** Returns the names that a file gives to a graph's nodes and to those of its subgraphs: their own, made unique. */
export function writtenNames(graph: Graph): ReadonlyMap<Node, string> {
  return namesOfNodes(graph, new Names());
}

function namesOfNodes(graph: Graph, names: Names): Map<Node, string> {
  const named = new Map<Node, string>();
  for (const node of graph.nodes) {
    for (const value of Object.values(node.attributes)) {
      if (typeof value !== "object" || !("graph" in value)) continue;
      for (const [inner, name] of namesOfNodes(value.graph, names)) named.set(inner, name);
    }
    named.set(node, names.unique(node.name === "" ? node.op : node.name));
  }
  return named;
}

/** The names of one file. */
interface FileNames {
  readonly values: Names;
  readonly nodes: Names;
  readonly ofNode: ReadonlyMap<Node, string>;
}

class GraphWriter {
  readonly #names: FileNames;
  readonly #use: Use;
  readonly #outer: GraphWriter | undefined;
  readonly #named = new Map<Value, string>();
  readonly #outputNames: string[] = [];

  constructor(names: FileNames, use: Use, outer: GraphWriter | undefined) {
    this.#names = names;
    this.#use = use;
    this.#outer = outer;
  }

  write(graph: Graph): GraphProto {
    for (const input of graph.inputs) this.#named.set(input, this.#interfaceName(graph, "input", input.name));
    const copies = this.#nameOutputs(graph);
    for (const value of graph.constants.keys()) this.#nameInside(value);
    const nodes: NodeProto[] = [];
    for (const node of graph.nodes) nodes.push(this.#node(node));
    for (const { name, value } of copies) {
      const copy = { opType: "Identity", name: this.#names.nodes.unique(`${name}/copy`) };
      nodes.push(
        create(NodeProtoSchema, { ...copy, input: [this.#lookUp(value, `output "${name}"`)], output: [name] }),
      );
    }
    return create(GraphProtoSchema, {
      name: graph.name === "" ? "graph" : graph.name,
      input: graph.inputs.map((value) =>
        valueInfo(this.#lookUp(value, "input"), this.#seen(value.type), (axis) => this.#use.symbols(value, axis)),
      ),
      output: graph.outputs.map(({ value }, i) =>
        valueInfo(this.#outputNames[i] ?? "", this.#seen(value.type), (axis) => this.#use.symbols(value, axis)),
      ),
      initializer: [...graph.constants].map(([value, tensor]) => {
        this.#seen(tensor);
        return tensorProto(tensor, this.#lookUp(value, "constant"));
      }),
      node: nodes,
    });
  }

  /** Names the outputs' values; returns those that need a copy because their value has another name already. */
  #nameOutputs(graph: Graph): { name: string; value: Value }[] {
    const made = new Set<Value>();
    for (const node of graph.nodes) for (const value of node.outputs) made.add(value);
    const copies: { name: string; value: Value }[] = [];
    for (const output of graph.outputs) {
      const isInput = this.#outer === undefined && this.#named.get(output.value) === output.name;
      if (isInput && graph.inputs.includes(output.value) && !this.#outputNames.includes(output.name)) {
        // An input that is also an output, under one name, is the same value to ONNX.
        this.#outputNames.push(output.name);
        continue;
      }
      const name = this.#interfaceName(graph, "output", output.name);
      this.#outputNames.push(name);
      if (made.has(output.value) && !this.#named.has(output.value)) this.#named.set(output.value, name);
      else copies.push({ name, value: output.value });
    }
    return copies;
  }

  /** Callers know inputs and outputs of the whole graph by name, those of a subgraph only by position. */
  #interfaceName(graph: Graph, kind: string, name: string): string {
    if (this.#outer !== undefined) return this.#names.values.unique(name === "" ? kind : name);
    if (name !== "" && this.#names.values.reserve(name)) return name;
    const problem = name === "" ? `an ${kind} has no name` : `two inputs or outputs have the name "${name}"`;
    throw new GraphError(problem, {
      where: `graph "${graph.name}"`,
      remedy: "Give every input and output of the graph a name of its own.",
    });
  }

  #nameInside(value: Value): string {
    const known = this.#named.get(value);
    if (known !== undefined) return known;
    const name = this.#names.values.unique(value.name === "" ? "value" : value.name);
    this.#named.set(value, name);
    return name;
  }

  #lookUp(value: Value, where: string): string {
    const name = this.#named.get(value);
    if (name !== undefined) return name;
    if (this.#outer !== undefined) return this.#outer.#lookUp(value, where);
    throw new GraphError(`the value "${value.name}" is used before any node produces it`, {
      where,
      remedy: "Every value must be an input, a constant or the output of an earlier node of the graph.",
    });
  }

  #node(node: Node): NodeProto {
    if (node.domain !== onnxDomain && !this.#use.domains.has(node.domain)) this.#use.domains.set(node.domain, node);
    const input: string[] = [];
    for (const value of node.inputs) input.push(value === undefined ? "" : this.#lookUp(value, showNode(node)));
    while (input.at(-1) === "") input.pop();
    const attribute: AttributeProto[] = [];
    for (const [name, value] of Object.entries(node.attributes)) attribute.push(this.#attribute(node, name, value));
    const output: string[] = [];
    for (const value of node.outputs) {
      this.#seen(value.type);
      output.push(this.#nameInside(value));
    }
    const name = this.#names.ofNode.get(node) ?? node.name;
    return create(NodeProtoSchema, { opType: node.op, domain: node.domain, name, input, output, attribute });
  }

  #attribute(node: Node, name: string, value: Attribute): AttributeProto {
    if (typeof value === "number") {
      return create(AttributeProtoSchema, { name, type: AttributeKind.INT, i: toInt64(value, node, name) });
    }
    if (typeof value === "string") {
      return create(AttributeProtoSchema, { name, type: AttributeKind.STRING, s: utf8(value) });
    }
    if ("float" in value) return create(AttributeProtoSchema, { name, type: AttributeKind.FLOAT, f: value.float });
    if ("floats" in value) {
      return create(AttributeProtoSchema, { name, type: AttributeKind.FLOATS, floats: [...value.floats] });
    }
    if ("strings" in value) {
      return create(AttributeProtoSchema, { name, type: AttributeKind.STRINGS, strings: value.strings.map(utf8) });
    }
    if ("tensor" in value) {
      this.#seen(value.tensor);
      return create(AttributeProtoSchema, { name, type: AttributeKind.TENSOR, t: tensorProto(value.tensor, name) });
    }
    if ("graph" in value) {
      const inner = new GraphWriter(this.#names, this.#use, this);
      return create(AttributeProtoSchema, { name, type: AttributeKind.GRAPH, g: inner.write(value.graph) });
    }
    if ("spec" in value) {
      throw new GraphError(`attribute ${name} is the spec of a quantizer, which ONNX cannot represent`, {
        where: showNode(node),
        remedy: "Lower the graph before it is written.",
      });
    }
    const ints = value.map((element) => toInt64(element, node, name));
    return create(AttributeProtoSchema, { name, type: AttributeKind.INTS, ints });
  }

  /** Notes an element type, which may need a newer opset. */
  #seen(type: TensorType): TensorType {
    this.#use.opset = Math.max(this.#use.opset, firstOpsetWith(type.dtype));
    return type;
  }
}

const encoder = new TextEncoder();

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Attributes are numbers in a graph, so the ends of the int64 range, which exporters write for "to the end", are rounded. */
function toInt64(value: number, node: Node, attribute: string): bigint {
  if (!Number.isInteger(value)) {
    throw new GraphError(`attribute ${attribute} is ${value}, which is not an integer`, {
      where: showNode(node),
      remedy: "Write a float attribute as { float: value } and a list of them as { floats: [...] }.",
    });
  }
  if (Number.isSafeInteger(value)) return BigInt(value);
  return value > 0 ? 2n ** 63n - 1n : -(2n ** 63n);
}

function valueInfo(name: string, type: TensorType, symbolOf: (axis: number) => string | undefined): ValueInfoProto {
  const dim = type.shape.map((size, axis) => {
    const symbol = symbolOf(axis);
    return create(TensorShapeProto_DimensionSchema, {
      value: symbol === undefined ? { case: "dimValue", value: BigInt(size) } : { case: "dimParam", value: symbol },
    });
  });
  const shape = create(TensorShapeProtoSchema, { dim });
  const value = create(TypeProto_TensorSchema, { elemType: dtypeToOnnx(type.dtype), shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value } }),
  });
}

function tensorProto(tensor: Tensor, name: string): TensorProto {
  const dims = tensor.shape.map(BigInt);
  const dataType = dtypeToOnnx(tensor.dtype);
  if (ArrayBuffer.isView(tensor.data)) {
    return create(TensorProtoSchema, { name, dims, dataType, rawData: rawBytes(tensor) });
  }
  return create(TensorProtoSchema, { name, dims, dataType, stringData: tensor.data.map(utf8) });
}
