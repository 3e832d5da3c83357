/**
 * A network is a graph in static single assignment form.
 *
 * A value has one producer (a node, the graph's input, or a constant), an element type and a static shape. A graph is data;
 * only {@link GraphBuilder} has a life, and it ends with `finish()`.
 */
import { GraphError } from "../errors.ts";
import type { Origin } from "./origin.ts";
import type { QuantizerSpec } from "./quantizer-spec.ts";
import { float32Scalar, type Tensor } from "./tensor.ts";
import { showType, type TensorType } from "./types.ts";

/**
 * A node's attribute. A bare number (or list of numbers) is an integer, as in ONNX; floats say so, because ONNX
 * distinguishes `1` from `1.0` and an attribute of the wrong kind is refused by the engine. A `spec` is none of ONNX: the
 * nodes that carry one are lowered before a graph is written.
 */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: Tensor }
  | { readonly spec: QuantizerSpec }
  | { readonly graph: Graph };

/** A node's attributes by their ONNX names. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** The standard ONNX operators have the empty domain. */
export const onnxDomain = "";
/** Operators of our own, which keep their meaning until they are lowered. */
export const subbyteDomain = "subbyte";

/** A tensor that a graph computes, receives or holds as a constant. */
export interface Value {
  /** Unique within the process; equal ids mean the same value. */
  readonly id: number;
  /** A name for people; the writer makes names unique. */
  readonly name: string;
  readonly type: TensorType;
  /** The tensor, where it follows from the types of what its node reads: a number made of the size of the batch. */
  readonly known?: Tensor;
}

/** An operator applied to values. */
export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  /** `undefined` stands for an optional input that was left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  readonly origin: Origin;
  /** In a lowered graph, the node of the graph before that this one computes a part of; absent where it is that node. */
  readonly source?: Node;
}

/** The properties of a node that passes keep when they replace it. */
export type Provenance = Pick<Node, "origin" | "source">;

/** A value under the name that callers fetch it by. */
export interface GraphOutput {
  readonly name: string;
  readonly value: Value;
}

/** A graph in static single assignment form; plain data. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly GraphOutput[];
  /** In an order in which every value is made before it is used. */
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<Value, Tensor>;
}

/** The arguments of an operator's type rule: the types, the attributes, and the inputs that are known constants. */
export interface OperatorCall {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly (TensorType | undefined)[];
  readonly constants: readonly (Tensor | undefined)[];
  readonly attributes: Attributes;
  /** Requested number of outputs, where an operator has a variable number of them. */
  readonly outputCount: number | undefined;
}

/** The result of a type rule for one output: its type, and the tensor where that follows from the types of the inputs. */
export interface InferredType extends TensorType {
  readonly known?: Tensor;
}

/** Gives the output types of a node, or throws a GraphError or UnsupportedError that names it. */
export type InferTypes = (call: OperatorCall) => readonly InferredType[];

/** Domain, names, number of outputs and origin of an added node. */
export interface NodeOptions {
  readonly domain?: string;
  readonly name?: string;
  /** Names of the outputs, for people. */
  readonly outputNames?: readonly string[];
  readonly outputCount?: number;
}

let nextValueId = 0;

/** Makes a value without a producer: for the builder and the ONNX reader only. */
export function makeValue(name: string, { known, ...type }: InferredType): Value {
  return { id: nextValueId++, name, type, ...(known === undefined ? {} : { known }) };
}

/**
 * Builds a graph node by node; types are inferred as nodes are added, so a mistake is reported at the node that made it.
 *
 * Nodes are pure, so a node equal to an earlier one (same operator, attributes and inputs) is not added again: its
 * values are returned. Passes rely on this to share work between a forward and a backward expansion. Such a node keeps the
 * name and the origin that it was first added with.
 */
export class GraphBuilder {
  readonly name: string;
  readonly #infer: InferTypes;
  readonly #inputs: Value[] = [];
  readonly #inputNames = new Set<string>();
  readonly #outputNames = new Set<string>();
  readonly #outputs: GraphOutput[] = [];
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<Value, Tensor>();
  readonly #smallConstants = new Map<string, Value>();
  readonly #known = new Map<string, readonly Value[]>();
  readonly #producers = new Map<Value, Node>();
  #scope = "";
  #provenance: Provenance = { origin: { phase: "forward" } };

  constructor(name: string, infer: InferTypes) {
    this.name = name;
    this.#infer = infer;
  }

  /** Adds an input of the graph, whose tensor may be known. @throws GraphError when the name is taken. */
  input(name: string, type: InferredType): Value {
    if (this.#inputNames.has(name)) {
      throw new GraphError(`the graph has an input "${name}" already`, { where: `graph "${this.name}"` });
    }
    const value = makeValue(name, type);
    this.#inputs.push(value);
    this.#inputNames.add(name);
    return value;
  }

  /** A constant. Small equal tensors share one value, so that nodes which differ only in a copy of it are merged. */
  constant(tensor: Tensor, name = "constant"): Value {
    const key = tensor.data.length <= 64 ? constantKey(tensor) : undefined;
    const known = key === undefined ? undefined : this.#smallConstants.get(key);
    if (known !== undefined) return known;
    const value = makeValue(name, { dtype: tensor.dtype, shape: tensor.shape });
    this.#constants.set(value, tensor);
    if (key !== undefined) this.#smallConstants.set(key, value);
    return value;
  }

  /** A float32 scalar constant. */
  scalar(number: number): Value {
    return this.constant(float32Scalar(number), `c${number}`);
  }

  /** Adds a node and returns its outputs. @throws GraphError when its inputs do not fit the operator. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): readonly Value[] {
    const domain = options.domain ?? onnxDomain;
    const key = nodeKey(op, domain, inputs, attributes, options.outputCount);
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const name = this.#scope + (options.name ?? `${op}_${this.#nodes.length}`);
    const types = this.#infer({
      op,
      domain,
      name,
      inputs: inputs.map((value) => value?.type),
      constants: inputs.map((value) => (value === undefined ? undefined : this.constantOf(value))),
      attributes,
      outputCount: options.outputCount,
    });
    const outputs = types.map((type, i) =>
      makeValue(options.outputNames?.[i] ?? (i === 0 ? name : `${name}_${i}`), type),
    );
    const node: Node = { op, domain, name, inputs, outputs, attributes, ...this.#provenance };
    this.#nodes.push(node);
    for (const output of outputs) this.#producers.set(output, node);
    if (key !== undefined) this.#known.set(key, outputs);
    return outputs;
  }

  /** Adds a node with one output. */
  one(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): Value {
    const [value] = this.node(op, inputs, attributes, options);
    if (value === undefined) throw new GraphError(`${op} made no output`, { where: `graph "${this.name}"` });
    return value;
  }

  /** Prefixes the names of the nodes that `body` adds: `layer1/conv/...`. */
  scope<Result>(name: string, body: () => Result): Result {
    const outer = this.#scope;
    this.#scope = `${outer}${name}/`;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /**
   * Gives the nodes that `body` adds an origin, and in a lowered graph a source: those of another node where one is passed.
   * Outside of it nodes are of the forward pass and of no layer.
   */
  from<Result>({ origin, source }: Provenance, body: () => Result): Result {
    const outer = this.#provenance;
    this.#provenance = source === undefined ? { origin } : { origin, source };
    try {
      return body();
    } finally {
      this.#provenance = outer;
    }
  }

  output(name: string, value: Value): void {
    if (this.#outputNames.has(name)) {
      throw new GraphError(`the graph has an output "${name}" already`, { where: `graph "${this.name}"` });
    }
    this.#outputNames.add(name);
    this.#outputs.push({ name, value });
  }

  /** The nodes added so far, in order. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** The tensor behind a constant, or behind a value that follows from the size of the batch; undefined for others. */
  constantOf(value: Value): Tensor | undefined {
    return this.#constants.get(value) ?? value.known;
  }

  /** The node that made a value, or undefined for inputs and constants. */
  producerOf(value: Value): Node | undefined {
    return this.#producers.get(value);
  }

  /** The graph as built, without the nodes and constants that no output needs. */
  finish(): Graph {
    return withoutUnused({
      name: this.name,
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      nodes: this.#nodes,
      constants: this.#constants,
    });
  }
}

/** Drops nodes and constants that no output depends on; inputs stay, because they are the graph's interface. */
export function withoutUnused(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs.map((output) => output.value));
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (node === undefined || !node.outputs.some((value) => needed.has(value))) continue;
    nodes.push(node);
    for (const input of node.inputs) if (input !== undefined) needed.add(input);
    for (const captured of capturedValues(node)) needed.add(captured);
  }
  nodes.reverse();
  return { ...graph, nodes, constants: new Map([...graph.constants].filter(([value]) => needed.has(value))) };
}

/** The values of the outer graph that the subgraphs of a node (If, Loop, Scan) refer to. */
export function capturedValues(node: Node): Value[] {
  const captured: Value[] = [];
  for (const attribute of Object.values(node.attributes)) {
    if (typeof attribute !== "object" || !("graph" in attribute)) continue;
    const { graph } = attribute;
    const own = new Set<Value>([...graph.inputs, ...graph.constants.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
    for (const inner of graph.nodes) {
      for (const value of [...inner.inputs, ...capturedValues(inner)]) {
        if (value !== undefined && !own.has(value)) captured.push(value);
      }
    }
    for (const output of graph.outputs) if (!own.has(output.value)) captured.push(output.value);
  }
  return captured;
}

/** For each value, the nodes that consume it, in order. */
export function consumers(graph: Graph): Map<Value, Node[]> {
  const found = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const value of new Set([...node.inputs, ...capturedValues(node)])) {
      if (value === undefined) continue;
      const list = found.get(value);
      if (list === undefined) found.set(value, [node]);
      else list.push(node);
    }
  }
  return found;
}

/** For each value that a node produces, that node. */
export function producers(graph: Graph): Map<Value, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
}

/** `Conv "layer1/conv1"`, as errors name a node. */
export function showNode(node: { readonly op: string; readonly name: string }): string {
  return `node ${node.op} "${node.name}"`;
}

function constantKey({ dtype, shape, data }: Tensor): string {
  const elements: string[] = [];
  for (const element of data) elements.push(Object.is(element, -0) ? "-0" : String(element));
  return `${dtype}[${shape}]${JSON.stringify(elements)}`;
}

function nodeKey(
  op: string,
  domain: string,
  inputs: readonly (Value | undefined)[],
  attributes: Attributes,
  outputCount: number | undefined,
): string | undefined {
  const parts: string[] = [domain, op, String(outputCount), inputs.map((value) => value?.id ?? "").join(",")];
  for (const [name, attribute] of Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (typeof attribute === "object" && ("tensor" in attribute || "graph" in attribute)) return undefined;
    parts.push(`${name}=${JSON.stringify(attribute, exactNumber)}`);
  }
  return parts.join("|");
}

/** JSON writes infinities and NaN as null and -0 as 0, which would make different attributes equal. */
function exactNumber(_key: string, value: unknown): unknown {
  return typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
    ? `number ${1 / value}${value}`
    : value;
}

/** `Conv(float32[1,3,8,8], float32[4,3,3,3])`: a call as errors show it. */
export function showCall(call: Pick<OperatorCall, "op" | "inputs">): string {
  return `${call.op}(${call.inputs.map((type) => (type === undefined ? "-" : showType(type))).join(", ")})`;
}
