/** Tensors that are known once the size of the batch is: their elements for one size, and their computation as a graph. */

import { evaluateNode } from "../../compile/evaluate.ts";
import { operators } from "../../compile/registry.ts";
import { GraphError } from "../../errors.ts";
import { type Attributes, type Graph, makeValue, type Node, onnxDomain, showNode, type Value } from "../../ir/graph.ts";
import { type Dimension, shapeAt } from "../../ir/size.ts";
import { int64Tensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { fromNumbers } from "../../ops/build/fold/data.ts";
import {
  type BatchCall,
  type BatchElements,
  type BatchSlot,
  type ConstantSlot,
  typeAt,
} from "../../ops/rewrite/slots.ts";

/** Larger tensors are not looked into while a file is read. */
const mostElements = 1 << 14;

const evaluated = new WeakMap<BatchCall, Map<number, readonly Tensor[] | undefined>>();

/** The tensor of a slot for one size of the batch; undefined for one that is large or cannot be computed. */
export function tensorAt(slot: ConstantSlot | BatchSlot, batch: number): Tensor | undefined {
  if (slot.kind === "constant") return slot.tensor;
  const { type, source } = slot;
  if ("elements" in source) return fromNumbers(typeAt(type, batch), shapeAt(source.elements, batch));
  const known = evaluated.get(source.call) ?? new Map<number, readonly Tensor[] | undefined>();
  evaluated.set(source.call, known);
  if (!known.has(batch)) known.set(batch, resultsAt(source.call, batch));
  return known.get(batch)?.[source.output];
}

function resultsAt({ op, name, attributes, inputs, types }: BatchCall, batch: number): readonly Tensor[] | undefined {
  if (types.some((type) => elementCount(typeAt(type, batch).shape) > mostElements)) return undefined;
  const tensors: (Tensor | undefined)[] = [];
  for (const input of inputs) {
    const tensor = input === undefined ? undefined : tensorAt(input, batch);
    if (input !== undefined && tensor === undefined) return undefined;
    tensors.push(tensor);
  }
  return evaluateNode(operators, { op, domain: onnxDomain, name, attributes, outputCount: types.length }, tensors);
}

/**
 * The computation of a tensor, with the size of the batch as its input, int64[1].
 *
 * @param batch The size that the types of its values are for.
 */
export function computationOf(slot: BatchSlot, batch: number): Graph {
  const writer = new Writer(batch);
  const value = writer.value(slot);
  return {
    name: "batch_value",
    inputs: [writer.batch],
    outputs: [{ name: "value", value }],
    nodes: writer.nodes,
    constants: writer.constants,
  };
}

class Writer {
  readonly batch: Value;
  readonly nodes: Node[] = [];
  readonly constants = new Map<Value, Tensor>();
  readonly #made = new Map<BatchElements | BatchCall | Tensor, readonly Value[]>();

  constructor(batch: number) {
    const known = int64Tensor([batch]);
    this.batch = makeValue("batch", { dtype: "int64", shape: [1], known });
  }

  value(slot: ConstantSlot | BatchSlot): Value {
    if (slot.kind === "constant") return this.#constant(slot.tensor);
    const { source } = slot;
    if ("elements" in source) return this.#kept(source, () => [this.#elements(slot, source)], 0);
    const { op, attributes, inputs, types, name } = source.call;
    const make = () => {
      const values = inputs.map((input) => (input === undefined ? undefined : this.value(input)));
      return this.#node(op, values, attributes, types.length, name);
    };
    return this.#kept(source.call, make, source.output);
  }

  #kept(key: BatchElements | BatchCall | Tensor, make: () => readonly Value[], output: number): Value {
    const values = this.#made.get(key) ?? make();
    this.#made.set(key, values);
    const value = values[output];
    if (value === undefined) throw new GraphError(`nothing makes output ${output} of a computation`);
    return value;
  }

  #constant(tensor: Tensor): Value {
    const make = () => {
      const value = makeValue("constant", { dtype: tensor.dtype, shape: tensor.shape });
      this.constants.set(value, tensor);
      return [value];
    };
    return this.#kept(tensor, make, 0);
  }

  /** The polynomials one after another, as a tensor. */
  #elements({ type }: BatchSlot, { elements }: BatchElements): Value {
    const parts = elements.map((element) => this.#element(element));
    const [first] = parts;
    const list = parts.length === 1 && first !== undefined ? first : this.#one("Concat", parts, { axis: 0 });
    const shape = type.shape.map(Number);
    const shaped = shape.length === 1 ? list : this.#one("Reshape", [list, this.#constant(int64Tensor(shape))]);
    return type.dtype === "int64" ? shaped : this.#one("Cast", [shaped], { to: dtypeToOnnx(type.dtype) });
  }

  /** One polynomial, by Horner's rule. */
  #element(element: Dimension): Value {
    const [first = 0, ...others] = (typeof element === "number" ? [element] : element.coefficients).toReversed();
    let value: Value | undefined;
    for (const coefficient of others) {
      const product =
        value === undefined
          ? first === 1
            ? this.batch
            : this.#one("Mul", [this.batch, this.#constant(int64Tensor([first]))])
          : this.#one("Mul", [value, this.batch]);
      value = coefficient === 0 ? product : this.#one("Add", [product, this.#constant(int64Tensor([coefficient]))]);
    }
    return value ?? this.#constant(int64Tensor([first]));
  }

  #one(op: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    const [value] = this.#node(op, inputs, attributes, 1, op);
    if (value === undefined) throw new GraphError(`${op} made no output`);
    return value;
  }

  #node(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes, outputCount: number, name: string) {
    const call = { op, domain: onnxDomain, name: `${name}_${this.nodes.length}`, attributes };
    const tensors = inputs.map((value) => value && (this.constants.get(value) ?? value.known));
    const results = evaluateNode(operators, { ...call, outputCount }, tensors);
    if (results === undefined) {
      throw new GraphError("what it computes of the size of the batch cannot be computed beforehand", {
        where: showNode(call),
      });
    }
    const outputs = results.map((known, i) =>
      makeValue(`${call.name}_${i}`, { dtype: known.dtype, shape: known.shape, known }),
    );
    this.nodes.push({ ...call, inputs, outputs, origin: { phase: "forward" } });
    return outputs;
  }
}
