/**
 * Reads an ONNX file into a graph, trusting nothing in it.
 *
 * The file's own shape annotations are ignored, since exporters get them wrong; types come from the rules of the operators.
 * Operators are taken as they are: converting old versions and simplifying is the importer's work.
 */

import type { GraphProto, NodeProto } from "onnx-buf";
import { FileFormatError, GraphError, UnsupportedError } from "../../errors.ts";
import type { DataBytes } from "../../ir/data-bytes.ts";
import {
  type Attribute,
  type Graph,
  type GraphOutput,
  type InferTypes,
  makeValue,
  type Node,
  onnxDomain,
  type Value,
} from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { showType, type TensorType } from "../../ir/types.ts";
import { readAttribute, readAttributes } from "../wire/attribute.ts";
import { notOnnx, openModel, plainDomain } from "../wire/decode.ts";
import { type ExternalData, readDtype, readTensor } from "../wire/tensor.ts";
import { readConstant } from "./constant.ts";
import { type InputShapeOptions, InputShapes, inputPlace, statedType } from "./inputs.ts";
import { orderNodes, showProto } from "./order.ts";

export interface OnnxReadOptions extends InputShapeOptions {
  /** Gives the bytes of a data file that lies beside the model. */
  readonly externalData?: ExternalData;
  /** What errors call the file. */
  readonly source?: string;
}

export interface OnnxModel {
  readonly graph: Graph;
  /** The operator versions that the file was written with, by domain; "" is the standard one. */
  readonly opset: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The program that wrote the file, with its version. */
  readonly producer: string;
}

/**
 * Decodes an ONNX model.
 *
 * @throws FileFormatError when the bytes are not a whole ONNX file, GraphError when its graph contradicts itself,
 *   UnsupportedError for what subbyte cannot hold (open shapes, unknown operators), ConfigError for wrong options.
 */
export function readOnnx(bytes: Uint8Array, infer: InferTypes, options: OnnxReadOptions = {}): OnnxModel {
  const source = options.source ?? "ONNX model";
  const { graph: graphProto, opset, metadata, producer } = openModel(bytes, source);
  const file: FileContext = {
    source,
    infer,
    externalData: options.externalData && remembering(options.externalData),
    opset,
  };
  const initialized = new Set(graphProto.initializer.map((tensor) => tensor.name));
  const open = graphProto.input.filter((input) => !initialized.has(input.name));
  const shapes = new InputShapes(options, open);
  const reader = new GraphReader(file, undefined);
  const graph = reader.read(graphProto, (info) => shapes.typeOf(info, `${source}, ${inputPlace(info)}`));
  return { graph, opset, metadata, producer };
}

/** A model's tensors mostly share one data file. */
export function remembering(read: ExternalData): ExternalData {
  const known = new Map<string, DataBytes>();
  return (location) => {
    const bytes = known.get(location) ?? read(location);
    known.set(location, bytes);
    return bytes;
  };
}

interface FileContext {
  readonly source: string;
  readonly infer: InferTypes;
  readonly externalData: ExternalData | undefined;
  readonly opset: ReadonlyMap<string, number>;
}

type InputType = (info: GraphProto["input"][number]) => TensorType;

class GraphReader {
  readonly #file: FileContext;
  readonly #outer: GraphReader | undefined;
  readonly #values = new Map<string, Value>();
  readonly #constants = new Map<Value, Tensor>();
  readonly #nodeNames = new Set<string>();

  constructor(file: FileContext, outer: GraphReader | undefined) {
    this.#file = file;
    this.#outer = outer;
  }

  read(proto: GraphProto, inputType: InputType): Graph {
    if (proto.sparseInitializer.length > 0) {
      throw new UnsupportedError("sparse initializers are not supported", {
        where: this.#file.source,
        remedy: "Store them dense.",
      });
    }
    for (const tensor of proto.initializer) {
      const where = `${this.#file.source}, initializer "${tensor.name}"`;
      this.#addConstant(tensor.name, readTensor(tensor, where, this.#file.externalData), where);
    }
    const inputs: Value[] = [];
    const inputNames = new Set<string>();
    for (const info of proto.input) {
      const where = `${this.#file.source}, ${inputPlace(info)}`;
      if (info.name === "" || inputNames.has(info.name)) {
        throw new GraphError(info.name === "" ? "it has no name" : "it is there twice", { where, remedy: notOnnx });
      }
      inputNames.add(info.name);
      // Old files list their initializers among the inputs, as defaults; nothing else would ever feed them.
      if (this.#values.has(info.name)) continue;
      const value = makeValue(info.name, inputType(info));
      this.#values.set(info.name, value);
      inputs.push(value);
    }
    const isOuter = (name: string) => this.#outer?.find(name) !== undefined;
    const order = orderNodes(proto.node, new Set(this.#values.keys()), isOuter, this.#file.source);
    for (const node of proto.node) this.#nodeNames.add(node.name);
    const nodes = order.map((node, i) => this.#node(node, i)).filter((node) => node !== undefined);
    return { name: proto.name, inputs, outputs: this.#outputs(proto), nodes, constants: this.#constants };
  }

  /** The value of this name, here or in the graphs around. */
  find(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.find(name);
  }

  #constant(value: Value): Tensor | undefined {
    return this.#constants.get(value) ?? (this.#outer === undefined ? undefined : this.#outer.#constant(value));
  }

  #addConstant(name: string, tensor: Tensor, where: string): void {
    if (name === "" || this.#values.has(name)) {
      throw new GraphError(name === "" ? "it has no name" : "it is there twice", { where, remedy: notOnnx });
    }
    const value = makeValue(name, { dtype: tensor.dtype, shape: tensor.shape });
    this.#values.set(name, value);
    this.#constants.set(value, tensor);
  }

  #outputs(proto: GraphProto): GraphOutput[] {
    const names = new Set<string>();
    return proto.output.map((info) => {
      const where = `${this.#file.source}, output "${info.name}"`;
      const value = this.find(info.name);
      if (value === undefined) throw new GraphError("nothing makes it", { where, remedy: notOnnx });
      if (names.has(info.name)) throw new GraphError("it is there twice", { where, remedy: notOnnx });
      names.add(info.name);
      const type = info.type?.value;
      const stated = type?.case === "tensorType" ? type.value.elemType : 0;
      if (stated !== 0 && readDtype(stated, where) !== value.type.dtype) {
        throw new GraphError(
          `the file says that it is ${readDtype(stated, where)}, but it is ${showType(value.type)}`,
          {
            where,
            remedy: "Correct the output's type, or export the model again.",
          },
        );
      }
      return { name: info.name, value };
    });
  }

  /** Undefined for nodes that only hold a constant. */
  #node(proto: NodeProto, index: number): Node | undefined {
    const domain = plainDomain(proto.domain);
    const where = `${this.#file.source}, ${showProto(proto)}`;
    if (proto.opType === "") throw new FileFormatError("the node has no operator", { where, remedy: notOnnx });
    if (!this.#file.opset.has(domain)) {
      throw new FileFormatError(`the file does not say which version of the operator domain "${domain}" it uses`, {
        where,
        remedy: notOnnx,
      });
    }
    if (proto.opType === "Constant" && domain === onnxDomain) {
      const tensor = readConstant(proto.attribute, where, this.#file.externalData);
      this.#addConstant(proto.output[0] ?? "", tensor, where);
      return undefined;
    }
    const attributes = Object.fromEntries(this.#attributes(proto, where));
    const name = proto.name === "" ? this.#unusedNodeName(`${proto.opType}_${index}`) : proto.name;
    const inputs = proto.input.map((input) => (input === "" ? undefined : this.find(input)));
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
    const outputNames = [...proto.output];
    while (outputNames.at(-1) === "") outputNames.pop();
    const types = this.#file.infer({
      op: proto.opType,
      domain,
      name,
      inputs: inputs.map((value) => value?.type),
      constants: inputs.map((value) => (value === undefined ? undefined : this.#constant(value))),
      attributes,
      outputCount: outputNames.length,
    });
    const outputs = outputNames.map((outputName, i) => {
      const type = types[i];
      if (type === undefined) {
        throw new GraphError(`the operator has ${types.length} outputs, the node names ${outputNames.length}`, {
          where,
          remedy: notOnnx,
        });
      }
      const value = makeValue(outputName === "" ? `${name}_${i}` : outputName, type);
      if (outputName !== "") this.#values.set(outputName, value);
      return value;
    });
    return { op: proto.opType, domain, name, inputs, outputs, attributes, origin: { phase: "forward" } };
  }

  #unusedNodeName(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#nodeNames.has(name); i++) name = `${wanted}_${i}`;
    this.#nodeNames.add(name);
    return name;
  }

  #attributes(proto: NodeProto, where: string): Map<string, Attribute> {
    return readAttributes(proto.attribute, where, (attribute, place) =>
      readAttribute<Attribute>(attribute, place, this.#file.externalData, (graph) => ({
        graph: new GraphReader(this.#file, this).read(graph, innerInputType(place)),
      })),
    );
  }
}

/** A subgraph's inputs come from its node, so their types must be stated. */
function innerInputType(where: string): InputType {
  return (info) => {
    const type = statedType(info, `${where}, ${inputPlace(info)}`);
    if (type !== undefined) return type;
    throw new UnsupportedError(`the type of the subgraph's ${inputPlace(info)} is open`, {
      where,
      remedy: "Export the model with fixed shapes.",
    });
  };
}
