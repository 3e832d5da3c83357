/**
 * Makes a typed graph of a decoded ONNX file whose operators have their present form.
 *
 * The file's own shape annotations are ignored, since exporters get them wrong; types come from the rules of the operators.
 * Operators are taken as they are: converting old versions and simplifying is the importer's work.
 */

import { defined } from "../../base/defined.ts";
import { GraphError, UnsupportedError } from "../../errors.ts";
import type { DataBytes } from "../../ir/data-bytes.ts";
import {
  type Attribute,
  type Graph,
  type GraphOutput,
  type InferTypes,
  makeValue,
  type Node,
  type Value,
} from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { showType, type TensorType } from "../../ir/types.ts";
import { UniqueNames } from "../../ir/unique-names.ts";
import { notOnnx } from "../wire/decode.ts";
import type { ExternalData } from "../wire/tensor.ts";
import { type FileBody, type FileNode, type OnnxFile, readOnnxFile } from "./file.ts";
import { type InputShapeOptions, SymbolSizes } from "./inputs.ts";

/** Options of reading an ONNX file into a graph. */
export interface OnnxReadOptions extends InputShapeOptions {
  /** Gives the bytes of a data file next to the model. */
  readonly externalData?: ExternalData;
  /** The name of the file in errors. */
  readonly source?: string;
}

/** A graph from an ONNX file, with the file's metadata. */
export interface OnnxModel extends Pick<OnnxFile, "opset" | "metadata" | "producer"> {
  readonly graph: Graph;
}

/**
 * Decodes an ONNX model, strictly, and infers its types.
 *
 * @throws FileFormatError when the bytes are not a whole ONNX file, GraphError when its graph contradicts itself,
 *   UnsupportedError for what subbyte cannot hold (open shapes, unknown operators), ConfigError for wrong options.
 *
 * @example
 * const model = readOnnx(exportOnnx(network), inferTypes);
 * console.log(model.opset);
 */
export function readOnnx(bytes: DataBytes, infer: InferTypes, options: OnnxReadOptions = {}): OnnxModel {
  const { source, externalData } = options;
  const file = readOnnxFile(bytes, {
    strict: true,
    ...defined({ source, externalData }),
  });
  const { opset, metadata, producer } = file;
  return { graph: typedGraph(file, infer, options), opset, metadata, producer };
}

/** The graph of a decoded file, with types. @throws as readOnnx does, for what was decoded. */
export function typedGraph(file: OnnxFile, infer: InferTypes, options: OnnxReadOptions = {}): Graph {
  const source = options.source ?? "ONNX model";
  const { inputs } = file.graph;
  const shapes = new SymbolSizes(options, inputs);
  const types = new Map(inputs.map((input) => [input.name, shapes.typeOf(input, inputPlace(source, input.name))]));
  return new GraphTyper({ infer, source }, undefined).type(file.graph, source, types);
}

/** `net.onnx, input "image"`, as errors name an input. */
function inputPlace(where: string, name: string): string {
  return `${where}, input "${name}"`;
}

interface Context {
  readonly infer: InferTypes;
  readonly source: string;
}

class GraphTyper {
  readonly #context: Context;
  readonly #outer: GraphTyper | undefined;
  readonly #values = new Map<string, Value>();
  readonly #constants = new Map<Value, Tensor>();
  readonly #nodeNames = new UniqueNames();

  constructor(context: Context, outer: GraphTyper | undefined) {
    this.#context = context;
    this.#outer = outer;
  }

  /** @param where What errors call the graph. */
  type(body: FileBody, where: string, types: ReadonlyMap<string, TensorType>): Graph {
    for (const [name, tensor] of body.constants) {
      const value = makeValue(name, { dtype: tensor.dtype, shape: tensor.shape });
      this.#values.set(name, value);
      this.#constants.set(value, tensor);
    }
    const inputs = body.inputNames.map((name) => {
      const type = types.get(name);
      if (type === undefined) {
        throw new UnsupportedError(`the type of the subgraph's input "${name}" is open`, {
          where,
          remedy: "Export the model with fixed shapes.",
        });
      }
      const value = makeValue(name, type);
      this.#values.set(name, value);
      return value;
    });
    for (const { givenName } of body.nodes) this.#nodeNames.add(givenName);
    const nodes = body.nodes.map((node) => this.#node(node));
    return { name: body.name, inputs, outputs: this.#outputs(body), nodes, constants: this.#constants };
  }

  /** The value of this name, here or in the graphs around. */
  #find(name: string): Value | undefined {
    return this.#values.get(name) ?? (this.#outer === undefined ? undefined : this.#outer.#find(name));
  }

  #constant(value: Value): Tensor | undefined {
    return this.#constants.get(value) ?? (this.#outer === undefined ? undefined : this.#outer.#constant(value));
  }

  #outputs({ outputs, stated }: FileBody): GraphOutput[] {
    return outputs.map((name) => {
      const where = `${this.#context.source}, output "${name}"`;
      const value = this.#find(name);
      if (value === undefined) throw new GraphError("nothing makes it", { where, remedy: notOnnx });
      const dtype = stated?.outputs.get(name) ?? value.type.dtype;
      if (dtype === value.type.dtype) return { name, value };
      throw new GraphError(`the file says that it is ${dtype}, but it is ${showType(value.type)}`, {
        where,
        remedy: "Correct the output's type, or export the model again.",
      });
    });
  }

  #node(file: FileNode): Node {
    const { op, domain, where } = file;
    const attributes = Object.fromEntries(this.#attributes(file));
    const name = file.givenName === "" ? this.#unusedNodeName(`${op}_${file.position}`) : file.givenName;
    const inputs = file.inputs.map((input) => (input === "" ? undefined : this.#find(input)));
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
    const outputNames = [...file.outputs];
    while (outputNames.at(-1) === "") outputNames.pop();
    const types = this.#context.infer({
      op,
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
    return { op, domain, name, inputs, outputs, attributes, origin: { phase: "forward" } };
  }

  #unusedNodeName(wanted: string): string {
    return this.#nodeNames.unused(wanted);
  }

  #attributes({ attributes, where }: FileNode): [string, Attribute][] {
    return [...attributes].map(([name, attribute]) => {
      if (typeof attribute !== "object" || !("subgraph" in attribute)) return [name, attribute];
      const { subgraph } = attribute;
      // A subgraph's inputs come from its node, so their types must be stated.
      const types = subgraph.stated?.inputs ?? new Map<string, TensorType>();
      const inner = new GraphTyper(this.#context, this);
      return [name, { graph: inner.type(subgraph, `${where}, attribute "${name}"`, types) }];
    });
  }
}
