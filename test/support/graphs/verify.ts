/**
 * The rules that every graph keeps, as a table; tests run them on the graphs that the builder, the passes and the readers make.
 *
 * A rule looks at one graph with the values around it and yields what breaks it. Adding a rule is adding an entry.
 */

import { GraphError } from "../../../src/errors.ts";
import { type Attribute, type Graph, type InferTypes, type Node, showNode, type Value } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import type { QuantizerSpec } from "../../../src/ir/quantizer-spec.ts";
import { allocate, storageLength, type Tensor } from "../../../src/ir/tensor.ts";
import { elementCount, sameShape, showType, type TensorType } from "../../../src/ir/types.ts";

/** The arguments of a rule. */
interface Subject {
  readonly graph: Graph;
  readonly infer: InferTypes;
  /** Values of the graphs around this one, which its nodes may read. */
  readonly outer: ReadonlySet<Value>;
  /** The constants of this graph and of those around it. */
  readonly constants: ReadonlyMap<Value, Tensor>;
}

interface Problem {
  readonly message: string;
  readonly node?: Node;
  readonly cause?: unknown;
}

interface Rule {
  readonly name: string;
  readonly check: (subject: Subject) => Iterable<Problem>;
}

/** In order: later rules rely on what earlier ones established. */
const rules: readonly Rule[] = [
  { name: "one producer", check: oneProducer },
  { name: "made before used", check: madeBeforeUsed },
  { name: "outputs made", check: outputsMade },
  { name: "interface names", check: interfaceNames },
  { name: "static shapes", check: staticShapes },
  { name: "constant data", check: constantData },
  { name: "no trailing gaps", check: noTrailingGaps },
  { name: "finite attributes", check: finiteAttributes },
  { name: "inferred types", check: inferredTypes },
];

/** The names of the rules, in the order in which they are checked. */
export const ruleNames: readonly string[] = rules.map((rule) => rule.name);

const shownNodes = 7;

/**
 * Checks a graph and its subgraphs against all rules.
 *
 * @throws GraphError for the first rule that is broken, with the rule, the node and the nodes around it;
 *   UnsupportedError when `infer` does not know an operator.
 */
export function verifyGraph(graph: Graph, infer: InferTypes): void {
  verifyInside({ graph, infer, outer: new Set(), constants: graph.constants });
}

function verifyInside(subject: Subject): void {
  const { graph } = subject;
  for (const rule of rules) {
    for (const { message, node, cause } of rule.check(subject)) {
      const options = node === undefined ? { maxNodes: shownNodes } : { maxNodes: shownNodes, around: node };
      throw new GraphError(`rule "${rule.name}" is broken: ${message}\n${printGraph(graph, options)}`, {
        where: node === undefined ? `graph "${graph.name}"` : showNode(node),
        remedy: "Look for the pass that made this graph; verify the graph before and after it.",
        cause,
      });
    }
  }
  const visible = new Set([...subject.outer, ...allValues(graph)]);
  for (const node of graph.nodes) {
    for (const attribute of Object.values(node.attributes)) {
      if (typeof attribute !== "object" || !("graph" in attribute)) continue;
      const constants = new Map([...subject.constants, ...attribute.graph.constants]);
      verifyInside({ ...subject, graph: attribute.graph, outer: visible, constants });
    }
  }
}

function allValues(graph: Graph): Value[] {
  return [...graph.inputs, ...graph.constants.keys(), ...graph.nodes.flatMap((node) => node.outputs)];
}

function* oneProducer({ graph, outer }: Subject): Iterable<Problem> {
  const made = new Map<Value, string>();
  const claim = (value: Value, producer: string) => {
    const other = outer.has(value) ? "a graph around this one" : made.get(value);
    made.set(value, producer);
    return other === undefined ? undefined : `the value "${value.name}" is made by ${producer} and by ${other}`;
  };
  for (const value of graph.inputs) {
    const message = claim(value, "an input");
    if (message !== undefined) yield { message };
  }
  for (const value of graph.constants.keys()) {
    const message = claim(value, "a constant");
    if (message !== undefined) yield { message };
  }
  for (const node of graph.nodes) {
    for (const value of node.outputs) {
      const message = claim(value, showNode(node));
      if (message !== undefined) yield { message, node };
    }
  }
}

function* madeBeforeUsed({ graph, outer }: Subject): Iterable<Problem> {
  const later = new Set(graph.nodes.flatMap((node) => node.outputs));
  const made = new Set<Value>([...outer, ...graph.inputs, ...graph.constants.keys()]);
  for (const node of graph.nodes) {
    for (const value of valuesRead(node)) {
      if (made.has(value)) continue;
      const fault = later.has(value) ? "is made by this node or a later one" : "has no producer in this graph";
      yield { message: `the input "${value.name}" ${fault}`, node };
    }
    for (const value of node.outputs) made.add(value);
  }
}

/** A node's inputs, and what its subgraphs, at any depth, take from outside themselves. */
function valuesRead(node: Node): Value[] {
  const read = node.inputs.filter((value) => value !== undefined);
  for (const attribute of Object.values(node.attributes)) {
    if (typeof attribute !== "object" || !("graph" in attribute)) continue;
    const own = new Set(allValues(attribute.graph));
    const inner = [...attribute.graph.nodes.flatMap(valuesRead), ...attribute.graph.outputs.map(({ value }) => value)];
    read.push(...inner.filter((value) => !own.has(value)));
  }
  return read;
}

function* outputsMade({ graph, outer }: Subject): Iterable<Problem> {
  const made = new Set(allValues(graph));
  for (const { name, value } of graph.outputs) {
    if (!made.has(value) && !outer.has(value)) yield { message: `nothing makes the output "${name}"` };
  }
}

function* interfaceNames({ graph }: Subject): Iterable<Problem> {
  const inputs = new Map<string, Value>();
  for (const value of graph.inputs) {
    if (value.name === "") yield { message: "an input has no name" };
    if (inputs.has(value.name)) yield { message: `two inputs are called "${value.name}"` };
    inputs.set(value.name, value);
  }
  const outputs = new Set<string>();
  for (const { name, value } of graph.outputs) {
    if (name === "") yield { message: "an output has no name" };
    if (outputs.has(name)) yield { message: `two outputs are called "${name}"` };
    outputs.add(name);
    const input = inputs.get(name);
    if (input !== undefined && input !== value)
      yield { message: `an input and another value are both called "${name}"` };
  }
}

function* staticShapes({ graph }: Subject): Iterable<Problem> {
  const wrong = (value: Value) => !value.type.shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  const message = (value: Value) => `"${value.name}" has the shape [${value.type.shape.join(",")}]`;
  for (const value of [...graph.inputs, ...graph.constants.keys()]) if (wrong(value)) yield { message: message(value) };
  for (const node of graph.nodes) {
    for (const value of node.outputs) if (wrong(value)) yield { message: message(value), node };
  }
}

function* constantData({ graph }: Subject): Iterable<Problem> {
  for (const [value, tensor] of graph.constants) {
    const fault = sameType(value.type, tensor) ? dataFault(tensor) : `is ${showType(tensor)}`;
    if (fault !== undefined) {
      yield { message: `the constant "${value.name}", ${showType(value.type)}, ${fault}`, ...consumerOf(graph, value) };
    }
  }
}

function consumerOf(graph: Graph, value: Value): { node?: Node } {
  const node = graph.nodes.find((candidate) => candidate.inputs.includes(value));
  return node === undefined ? {} : { node };
}

function dataFault({ dtype, shape, data }: Tensor): string | undefined {
  const count = elementCount(shape);
  const wanted = dtype === "string" ? count : storageLength(dtype, count);
  if (data.length !== wanted) return `holds ${data.length} elements of storage instead of ${wanted}`;
  const kind = dtype === "string" ? "Array" : allocate(dtype, 0).constructor.name;
  return data.constructor.name === kind ? undefined : `holds its data in ${data.constructor.name} instead of ${kind}`;
}

function* noTrailingGaps({ graph }: Subject): Iterable<Problem> {
  for (const node of graph.nodes) {
    if (node.inputs.length > 0 && node.inputs.at(-1) === undefined)
      yield { message: "its last input is left out", node };
  }
}

function* finiteAttributes({ graph }: Subject): Iterable<Problem> {
  for (const node of graph.nodes) {
    for (const [name, value] of Object.entries(node.attributes)) {
      if (!isSound(value)) yield { message: `attribute ${name} is not finite, or not whole where it must be`, node };
    }
  }
}

function isSound(value: Attribute): boolean {
  if (typeof value === "string") return true;
  if (typeof value === "number") return Number.isInteger(value);
  if ("float" in value) return Number.isFinite(value.float);
  if ("floats" in value) return value.floats.every(Number.isFinite);
  if ("spec" in value) return isSoundSpec(value.spec);
  if ("tensor" in value) return dataFault(value.tensor) === undefined;
  return "strings" in value || "graph" in value || value.every(Number.isInteger);
}

/** Whether bits and codes are whole numbers, with a code to choose. */
function isSoundSpec({ bits, quantMin, quantMax }: QuantizerSpec): boolean {
  return [bits, quantMin, quantMax].every(Number.isInteger) && quantMin < quantMax;
}

function* inferredTypes({ graph, infer, constants }: Subject): Iterable<Problem> {
  for (const node of graph.nodes) {
    const types = inferNode(node, infer, constants);
    if (types instanceof GraphError) {
      yield { message: types.message, node, cause: types };
      continue;
    }
    for (const [i, value] of node.outputs.entries()) {
      const type = types[i];
      if (type === undefined)
        yield { message: `it has ${node.outputs.length} outputs, its operator ${types.length}`, node };
      else if (!sameType(type, value.type)) {
        yield { message: `output ${i} is ${showType(value.type)}, its operator makes ${showType(type)}`, node };
      }
    }
  }
}

function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

function inferNode(
  node: Node,
  infer: InferTypes,
  constants: ReadonlyMap<Value, Tensor>,
): readonly TensorType[] | GraphError {
  try {
    return infer({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs: node.inputs.map((value) => value?.type),
      constants: node.inputs.map((value) => (value === undefined ? undefined : (constants.get(value) ?? value.known))),
      attributes: node.attributes,
      outputCount: node.outputs.length,
    });
  } catch (error) {
    if (error instanceof GraphError) return error;
    throw error;
  }
}
