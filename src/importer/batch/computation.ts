/** Tensors that are known once the size of the batch is: their elements for one size, and their computation as a graph. */

import { operators } from "../../compile/registry.ts";
import { GraphError } from "../../errors.ts";
import {
  type Graph,
  GraphBuilder,
  type InferredType,
  type OperatorCall,
  onnxDomain,
  showNode,
  type Value,
} from "../../ir/graph.ts";
import { type Dimension, shapeAt } from "../../ir/size.ts";
import { int64Tensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { fromNumbers } from "../../ops/build/fold/data.ts";
import { int64Constant } from "../../ops/build/operands.ts";
import { evaluateNode } from "../../ops/evaluate.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, multiply } from "../../ops/families/elementwise.ts";
import { concat, reshape } from "../../ops/families/shape/shape-ops.ts";
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
  const builder = new GraphBuilder("batch_value", knownOutputs);
  const writer = new Writer(builder, builder.input("batch", knownType(int64Tensor([batch]))));
  builder.output("value", writer.value(slot));
  return builder.finish();
}

function knownType(known: Tensor): InferredType {
  return { dtype: known.dtype, shape: known.shape, known };
}

/** The type rule of a computation: every value is known, since shapes may be computed of it. */
function knownOutputs(call: OperatorCall): readonly InferredType[] {
  const results = evaluateNode(operators, call, call.constants);
  if (results !== undefined) return results.map(knownType);
  throw new GraphError("its computation on the batch size cannot be done in advance", {
    where: showNode(call),
  });
}

class Writer {
  readonly #builder: GraphBuilder;
  readonly #batch: Value;
  readonly #made = new Map<BatchElements | BatchCall | Tensor, readonly Value[]>();

  constructor(builder: GraphBuilder, batch: Value) {
    this.#builder = builder;
    this.#batch = batch;
  }

  value(slot: ConstantSlot | BatchSlot): Value {
    if (slot.kind === "constant") return this.#kept(slot.tensor, () => [this.#builder.constant(slot.tensor)], 0);
    const { source } = slot;
    return "elements" in source
      ? this.#kept(source, () => [this.#elements(slot, source)], 0)
      : this.#kept(source.call, () => this.#outputs(source.call), source.output);
  }

  #kept(key: BatchElements | BatchCall | Tensor, make: () => readonly Value[], output: number): Value {
    const values = this.#made.get(key) ?? make();
    this.#made.set(key, values);
    const value = values[output];
    if (value === undefined) throw new GraphError(`no node produces output ${output} of a computation`);
    return value;
  }

  #outputs({ op, attributes, inputs, types, name }: BatchCall): readonly Value[] {
    const values = inputs.map((input) => (input === undefined ? undefined : this.value(input)));
    const options = { outputCount: types.length, name: `${name}_${this.#builder.nodes.length}` };
    return this.#builder.node(op, values, attributes, options);
  }

  /** The polynomials one after another, as a tensor. */
  #elements({ type }: BatchSlot, { elements }: BatchElements): Value {
    const b = this.#builder;
    const list = concat(
      b,
      elements.map((element) => this.#element(element)),
      0,
    );
    return cast(b, reshape(b, list, type.shape.map(Number)), type.dtype);
  }

  /** One polynomial, by Horner's rule. */
  #element(element: Dimension): Value {
    const b = this.#builder;
    const [first = 0, ...others] = (typeof element === "number" ? [element] : element.coefficients).toReversed();
    let value: Value | undefined;
    for (const coefficient of others) {
      const product =
        value === undefined
          ? first === 1
            ? this.#batch
            : multiply(b, this.#batch, int64Constant(b, [first]))
          : multiply(b, value, this.#batch);
      value = coefficient === 0 ? product : add(b, product, int64Constant(b, [coefficient]));
    }
    return value ?? int64Constant(b, [first]);
  }
}
