/**
 * Prints a graph as text, one line a node, for snapshots, errors and curious people.
 *
 * Values are numbered by their place in the graph, not by their process-wide ids, so equal graphs print equally.
 */

import { type Attribute, type Graph, type Node, onnxDomain, type Value } from "./graph.ts";
import type { QuantizerSpec } from "./quantizer-spec.ts";
import { type Tensor, toNumbers } from "./tensor.ts";
import { elementCount, showType } from "./types.ts";

/** Limits on the printed part of a graph. */
export interface PrintOptions {
  /** Prints at most this many nodes, and only the inputs and outputs that they touch. Default: all. */
  readonly maxNodes?: number;
  /** The node in the middle of what is printed; it is marked with `>`. */
  readonly around?: Node;
}

/**
 * The graph as text:
 * `%0: float32[8,16,32,32] = Conv(%x, float32[16,3,3,3]) {pads=[1,1,1,1], strides=[2,2]}  // layer1/conv1`.
 *
 * `%name` is an input, `-` an input that was left out, a bare number a float32 scalar, `3:int64` another scalar,
 * `dtype[shape]` a larger constant, and `%?name` a value that nothing in this graph makes. It never throws, not even on broken graphs.
 *
 * @example
 * console.log(printGraph(network.graph, { maxNodes: 5 }));
 */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const printer = new Printer();
  printer.number(graph);
  return printer.lines(graph, options).join("\n");
}

class Printer {
  readonly #labels = new Map<Value, string>();
  readonly #constants = new Map<Value, Tensor>();
  #next = 0;

  number(graph: Graph): void {
    for (const value of graph.inputs) this.#labels.set(value, inputLabel(value.name));
    this.#numberInside(graph);
  }

  lines(graph: Graph, options: PrintOptions = {}): string[] {
    const { first, last } = window(graph, options);
    const shown = graph.nodes.slice(first, last);
    const whole = shown.length === graph.nodes.length;
    const touched = new Set(shown.flatMap((node) => [...node.inputs, ...node.outputs]));
    const lines = [`graph ${JSON.stringify(graph.name)}`];
    for (const value of graph.inputs) {
      if (whole || touched.has(value)) lines.push(`  input ${this.#typed(value)}`);
    }
    if (first > 0) lines.push(`  … ${count(first)}`);
    for (const node of shown) lines.push(...this.#node(node, node === options.around ? "> " : "  "));
    if (last < graph.nodes.length) lines.push(`  … ${count(graph.nodes.length - last)}`);
    for (const { name, value } of graph.outputs) {
      if (whole || touched.has(value)) lines.push(`  output ${inputLabel(name).slice(1)} = ${this.#use(value)}`);
    }
    return lines;
  }

  #numberInside(graph: Graph): void {
    for (const [value, tensor] of graph.constants) this.#constants.set(value, tensor);
    for (const node of graph.nodes) {
      for (const value of node.outputs) this.#labels.set(value, `%${this.#next++}`);
      for (const inner of subgraphs(node)) {
        // Subgraphs are numbered through: an input of theirs may have the name of one outside.
        for (const value of inner.inputs) this.#labels.set(value, `%${this.#next++}`);
        this.#numberInside(inner);
      }
    }
  }

  #node(node: Node, margin: string): string[] {
    const outputs = node.outputs.map((value) => this.#typed(value)).join(", ");
    const inputs = node.inputs.map((value) => (value === undefined ? "-" : this.#use(value))).join(", ");
    const op = node.domain === onnxDomain ? node.op : `${node.domain}:${node.op}`;
    const attributes = Object.entries(node.attributes)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${showAttribute(value)}`);
    const braces = attributes.length === 0 ? "" : ` {${attributes.join(", ")}}`;
    const comment = node.name === "" ? "" : `  // ${node.name}`;
    const line = `${margin}${outputs} = ${op}(${inputs})${braces}${comment}`;
    return [line, ...subgraphs(node).flatMap((inner) => this.lines(inner).map((innerLine) => `    ${innerLine}`))];
  }

  #typed(value: Value): string {
    return `${this.#labels.get(value) ?? `%?${value.name}`}: ${showType(value.type)}`;
  }

  #use(value: Value): string {
    const label = this.#labels.get(value);
    if (label !== undefined) return label;
    const tensor = this.#constants.get(value);
    return tensor === undefined ? `%?${value.name}` : showTensor(tensor);
  }
}

/** Returns the nodes to print: all, or up to the limit, with the wanted one in their middle. */
function window(graph: Graph, options: PrintOptions): { first: number; last: number } {
  const total = graph.nodes.length;
  const size = Math.min(total, options.maxNodes ?? total);
  const middle = options.around === undefined ? 0 : Math.max(0, graph.nodes.indexOf(options.around));
  const first = Math.max(0, Math.min(total - size, middle - Math.floor(size / 2)));
  return { first, last: first + size };
}

function count(nodes: number): string {
  return nodes === 1 ? "1 node" : `${nodes} nodes`;
}

function inputLabel(name: string): string {
  return /^[A-Za-z_][\w./:-]*$/.test(name) ? `%${name}` : `%${JSON.stringify(name)}`;
}

function subgraphs(node: Node): Graph[] {
  return Object.values(node.attributes).flatMap((value) =>
    typeof value === "object" && "graph" in value ? [value.graph] : [],
  );
}

const shownElements = 8;

/** A constant: its elements when it is a scalar or a short list of integers, otherwise its type. */
function showTensor(tensor: Tensor): string {
  const { dtype, shape, data } = tensor;
  const printable = dtype === "float32" || dtype === "float64" || dtype === "bool" || /^u?int/.test(dtype);
  if (!printable || data.length === 0) return showType(tensor);
  if (shape.length === 0) {
    const [number] = toNumbers(tensor);
    return dtype === "float32" ? showFloat(number ?? 0) : `${number}:${dtype}`;
  }
  if (shape.length > 1 || elementCount(shape) > shownElements || dtype.startsWith("float")) return showType(tensor);
  return `(${toNumbers(tensor).join(",")}):${dtype}`;
}

function showAttribute(value: Attribute): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if ("float" in value) return showFloat(value.float);
  if ("floats" in value) return `[${value.floats.map(showFloat).join(",")}]`;
  if ("strings" in value) return JSON.stringify(value.strings);
  if ("tensor" in value) return showTensor(value.tensor);
  if ("spec" in value) return showSpec(value.spec);
  if ("graph" in value) return `graph ${JSON.stringify(value.graph.name)}`;
  return `[${value.join(",")}]`;
}

/** `uniform(0..15, 4 bits, axis 0)`, with what else the spec decides as JSON. */
function showSpec({ quantizer, bits, quantMin, quantMax, channelAxis, options, ...rest }: QuantizerSpec): string {
  const axis = channelAxis === undefined ? "" : `, axis ${channelAxis}`;
  const more = { ...rest, ...options };
  const others = Object.keys(more).length === 0 ? "" : `, ${JSON.stringify(more)}`;
  return `${quantizer}(${quantMin}..${quantMax}, ${bits} bits${axis}${others})`;
}

/** The shortest decimal that is this number in float32, with a point, so that floats and integers look different. */
function showFloat(number: number): string {
  let text = String(number);
  for (let digits = 1; digits <= 9; digits++) {
    const short = String(Number(number.toPrecision(digits)));
    if (Math.fround(Number(short)) !== Math.fround(number)) continue;
    text = short;
    break;
  }
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
