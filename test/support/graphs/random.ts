/** Random graphs for property tests, and what it means for two graphs to be the same network. */

import fc from "fast-check";
import { type Attribute, type Graph, GraphBuilder, type Node, producers, type Value } from "../../../src/ir/graph.ts";
import { allocate, float32Tensor, int64Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { type DType, elementCount, sameShape, showType } from "../../../src/ir/types.ts";
import { allDtypes } from "../../../src/onnx/wire/proto.ts";
import { tinyInfer } from "./infer.ts";

/** A tensor of any element type whose bytes come from a seed. */
export function tensorOf(dtype: DType, shape: readonly number[], seed: number): Tensor {
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: Array.from({ length: count }, (_, i) => `tëxt ${seed + i}`) };
  const data = allocate(dtype, count);
  const bytes = new Uint8Array(data.buffer);
  let state = seed | 1;
  for (let i = 0; i < bytes.length; i++) {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    // The exponent bits stay low, so that no float is a NaN, whose bits need not survive a copy.
    bytes[i] = dtype === "bool" ? (state >>> 16) & 1 : (state >>> 16) & 0x3f;
  }
  return { dtype, shape, data };
}

export const anyDtype: fc.Arbitrary<DType> = fc.constantFrom(...allDtypes());

export const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(anyDtype, fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }), fc.nat(1_000_000))
  .map(([dtype, shape, seed]) => tensorOf(dtype, shape, seed));

const anyName = fc.constantFrom("w", "w_1", "layer1/conv", "%", "", "constant", "ü");

const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });

/** Attributes of every kind; engines never see them, because only `subbyte:Probe` takes them. */
const anyAttribute: fc.Arbitrary<Attribute> = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.array(fc.integer(), { maxLength: 4 }),
  float32.map((float) => ({ float })),
  fc.array(float32, { maxLength: 4 }).map((floats) => ({ floats })),
  fc.array(fc.string(), { maxLength: 3 }).map((strings) => ({ strings })),
  anyTensor.map((tensor) => ({ tensor })),
);

interface Step {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly name: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.nat(9),
  a: fc.nat(1000),
  b: fc.nat(1000),
  name: anyName,
  attributes: fc.dictionary(fc.constantFrom("alpha", "mode", "axes", "value", "__proto__"), anyAttribute, {
    maxKeys: 3,
  }),
});

/** Adds what a step stands for, on values chosen from those there are; all of them are float32. */
function addStep(builder: GraphBuilder, values: Value[], step: Step, standardOnly: boolean): void {
  const pick = (index: number) => values[index % values.length] ?? builder.scalar(0);
  const a = pick(step.a);
  const same = values.filter((value) => sameShape(value.type.shape, a.type.shape));
  const b = same[step.b % same.length] ?? a;
  const options = { outputNames: [step.name, step.name] };
  const rank2 = a.type.shape.length === 2;
  switch (step.kind) {
    case 0:
      values.push(builder.one("Add", [a, b], {}, options));
      return;
    case 1:
      values.push(builder.one("Mul", [a, builder.scalar(step.b / 7)], {}, options));
      return;
    case 2:
      values.push(builder.one("Clip", [a, undefined, builder.scalar(step.b % 5)], {}, options));
      return;
    case 3:
      values.push(rank2 ? builder.one("Transpose", [a], { perm: [1, 0] }, options) : builder.one("Relu", [a]));
      return;
    case 4: {
      const rows = a.type.shape[0] ?? 1;
      if (a.type.shape.length === 0 || rows % 2 !== 0 || rows === 0) return;
      values.push(...builder.node("Split", [a], { axis: 0, num_outputs: 2 }, { ...options, outputCount: 2 }));
      return;
    }
    case 5: {
      const shape = builder.constant(int64Tensor([elementCount(a.type.shape)]), step.name);
      values.push(builder.one("Reshape", [a, shape], {}, options));
      return;
    }
    case 6: {
      const weight = builder.constant(tensorOf("float32", [a.type.shape[1] ?? 1, 1 + (step.b % 4)], step.b), step.name);
      if (rank2) values.push(builder.one("MatMul", [a, weight], {}, options));
      return;
    }
    case 7: {
      const condition = builder.constant(tensorOf("bool", [], step.b));
      const then = branchGraph([a, b], "Add", step.name);
      const otherwise = branchGraph([a], undefined, step.name);
      values.push(builder.one("If", [condition], { then_branch: { graph: then }, else_branch: { graph: otherwise } }));
      return;
    }
    case 8: {
      const packed = builder.constant(tensorOf(step.b % 2 === 0 ? "int4" : "uint4", a.type.shape, step.b), step.name);
      values.push(builder.one("DequantizeLinear", [packed, builder.scalar(0.5)], {}, options));
      return;
    }
    default:
      if (standardOnly) values.push(builder.one("Neg", [a], {}, options));
      else values.push(builder.one("Probe", [a, undefined, b], step.attributes, { ...options, domain: "subbyte" }));
  }
}

/** A subgraph without inputs that reads values of the graph around it, as the branches of an If do. */
function branchGraph(captured: readonly Value[], op: string | undefined, name: string): Graph {
  const builder = new GraphBuilder("branch", tinyInfer);
  const [first] = captured;
  if (first === undefined) throw new Error("a branch needs a value");
  builder.output(`out ${name}`, op === undefined ? first : builder.one(op, captured, {}, { outputNames: [name] }));
  return builder.finish();
}

function graphOf(steps: readonly Step[], outputs: readonly number[], standardOnly: boolean): Graph {
  const builder = new GraphBuilder("random", tinyInfer);
  const values: Value[] = [
    builder.input("x", { dtype: "float32", shape: [2, 3] }),
    builder.input("w", { dtype: "float32", shape: [2, 3] }),
  ];
  values.push(builder.constant(float32Tensor([2, 3], [1, -2, 3, -4, 5, 0.5]), "w"));
  for (const step of steps) addStep(builder, values, step, standardOnly);
  for (const [i, index] of outputs.entries()) {
    const value = values[values.length - 1 - (index % values.length)];
    if (value !== undefined) builder.output(`out${i}`, value);
  }
  return builder.finish();
}

/** Graphs with clashing names, subgraphs, gaps, shared outputs; only operators of ONNX when `standardOnly`. */
export function anyGraph(standardOnly = false): fc.Arbitrary<Graph> {
  const steps = fc.array(anyStep, { maxLength: 25 });
  const outputs = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 });
  return fc.tuple(steps, outputs).map(([made, chosen]) => graphOf(made, chosen, standardOnly));
}

/**
 * What makes the second graph another network than the first, or undefined when they are the same one.
 *
 * Names inside, the order of nodes and copies by `Identity` do not count; inputs, outputs, operators, attributes and
 * every byte of the constants do.
 */
export function difference(a: Graph, b: Graph): string | undefined {
  return compareGraphs(a, b, undefined);
}

type Compare = (first: Value, second: Value) => string | undefined;

/** `compareOuter` compares what subgraphs take from outside; names count only in the outermost graph. */
function compareGraphs(a: Graph, b: Graph, compareOuter: Compare | undefined): string | undefined {
  const [producersA, producersB] = [producers(a), producers(b)];
  const pairs = new Map<Value, Value>();
  if (a.inputs.length !== b.inputs.length) return "number of inputs";
  for (const [i, value] of a.inputs.entries()) {
    const other = b.inputs[i];
    if (other === undefined || showType(other.type) !== showType(value.type)) return `type of input ${i}`;
    if (compareOuter === undefined && other.name !== value.name) return `name of input ${i}`;
    pairs.set(value, other);
  }
  const compare: Compare = (first, second) => {
    const [x, y] = [original(first, producersA), original(second, producersB)];
    const known = pairs.get(x);
    if (known !== undefined) return known === y ? undefined : `wiring of ${x.name}`;
    const [node, otherNode] = [producersA.get(x), producersB.get(y)];
    const [tensor, otherTensor] = [a.constants.get(x), b.constants.get(y)];
    if (node === undefined && tensor === undefined && compareOuter !== undefined) return compareOuter(x, y);
    if (showType(x.type) !== showType(y.type)) return `type of ${x.name}`;
    pairs.set(x, y);
    if (tensor !== undefined) return sameTensor(tensor, otherTensor) ? undefined : `constant ${x.name}`;
    if (node === undefined || otherNode === undefined) return `producer of ${x.name}`;
    if (node.outputs.indexOf(x) !== otherNode.outputs.indexOf(y)) return `output index of ${node.name}`;
    return compareNodes(node, otherNode, compare);
  };
  if (a.outputs.length !== b.outputs.length) return "number of outputs";
  for (const [i, output] of a.outputs.entries()) {
    const other = b.outputs[i];
    if (other === undefined) return `output ${i}`;
    if (compareOuter === undefined && other.name !== output.name) return `name of output ${i}`;
    const found = compare(output.value, other.value);
    if (found !== undefined) return `output ${output.name}: ${found}`;
  }
  return undefined;
}

/** The value itself, or what it is a copy of. */
function original(value: Value, made: ReadonlyMap<Value, Node>): Value {
  const node = made.get(value);
  const from = node?.op === "Identity" ? node.inputs[0] : undefined;
  return from === undefined ? value : original(from, made);
}

function compareNodes(a: Node, b: Node, compare: Compare): string | undefined {
  if (a.op !== b.op || a.domain !== b.domain) return `operator of ${a.name}`;
  if (a.inputs.length !== b.inputs.length) return `number of inputs of ${a.name}`;
  for (const [i, first] of a.inputs.entries()) {
    const second = b.inputs[i];
    if ((first === undefined) !== (second === undefined)) return `gaps among the inputs of ${a.name}`;
    const found = first === undefined || second === undefined ? undefined : compare(first, second);
    if (found !== undefined) return found;
  }
  const names = Object.keys(a.attributes).sort();
  if (names.join() !== Object.keys(b.attributes).sort().join()) return `attributes of ${a.name}`;
  const others = new Map(Object.entries(b.attributes));
  for (const [name, value] of Object.entries(a.attributes)) {
    const found = compareAttributes(value, others.get(name), compare);
    if (found !== undefined) return `attribute ${name} of ${a.name}: ${found}`;
  }
  return undefined;
}

function compareAttributes(a: Attribute, b: Attribute | undefined, compare: Compare): string | undefined {
  if (typeof a === "object" && "graph" in a) {
    return typeof b === "object" && "graph" in b ? compareGraphs(a.graph, b.graph, compare) : "kind";
  }
  if (typeof a === "object" && "tensor" in a) {
    const same = typeof b === "object" && "tensor" in b && sameTensor(a.tensor, b.tensor);
    return same ? undefined : "tensor";
  }
  return JSON.stringify(a) === JSON.stringify(b) ? undefined : `${JSON.stringify(a)} became ${JSON.stringify(b)}`;
}

function sameTensor(a: Tensor, b: Tensor | undefined): boolean {
  if (b === undefined || showType(a) !== showType(b) || a.data.length !== b.data.length) return false;
  return a.data.every((element: unknown, i: number) => Object.is(element, b.data[i]));
}
