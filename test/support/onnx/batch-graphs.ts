/** Random models that read the shapes of their own values and compute with the size of their batch. */

import { makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { type Random, seeded } from "../random.ts";
import { type FileText, floats, ints, type NodeText, ramp } from "./model.ts";

/** The sizes of one sample: the input is [batch, features], what is computed [batch, width]. */
const features = 6;
const width = 4;

/** A model, a batch size where it states one. */
export interface BatchGraph {
  readonly text: FileText;
  readonly stated: number | undefined;
}

/** The model of a seed. */
export function batchGraph(seed: number): BatchGraph {
  const random = seeded(seed);
  const stated = random() < 0.15 ? pick(random, [1, 2, 3, 7]) : undefined;
  const graph = new Generator(random);
  const steps = 1 + Math.floor(random() * 4);
  let y = graph.node("MatMul", ["x", "w"]);
  for (let step = 0; step < steps; step++) y = graph.step(y);
  return {
    text: {
      inputs: { x: [stated ?? "N", features] },
      outputs: ["y"],
      nodes: [...graph.nodes, ["Identity", [y], ["y"]]],
      initializers: graph.initializers,
    },
    stated,
  };
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

class Generator {
  readonly nodes: NodeText[] = [];
  readonly initializers: Record<string, Tensor> = { w: ramp(features, width) };
  readonly #random: Random;
  readonly #integers: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  node(op: string, inputs: readonly string[], attributes: NodeText[3] = {}, outputs = 1): string {
    const names = Array.from({ length: outputs }, (_, i) => `${op}_${this.nodes.length}_${i}`);
    this.nodes.push([op, inputs, names, attributes]);
    return names[0] ?? "";
  }

  constant(tensor: Tensor): string {
    const name = `c${Object.keys(this.initializers).length}`;
    this.initializers[name] = tensor;
    return name;
  }

  list(...values: number[]): string {
    return this.constant(ints(...values));
  }

  scalar(value: number): string {
    return this.constant(makeTensor("int64", [], BigInt64Array.of(BigInt(value))));
  }

  float(value: number): string {
    return this.constant(floats([], [value]));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** The size of the batch as a scalar, read from one of the values that have it. */
  batch(y: string): string {
    const read: (() => string)[] = [
      () => this.node("Gather", [this.node("Shape", ["x"]), this.scalar(0)]),
      () => this.node("Gather", [this.node("Shape", [y]), this.scalar(-2)]),
      () => this.node("Squeeze", [this.node("Shape", [y], { start: 0, end: 1 }), this.list(0)]),
      () => this.node("Div", [this.node("Size", [y]), this.scalar(width)]),
      () =>
        this.node("Squeeze", [
          this.node("Slice", [this.node("Shape", ["x"]), this.list(0), this.list(1)]),
          this.list(0),
        ]),
      () => this.node("Gather", [this.node("Shape", [this.node("Transpose", [y], { perm: [1, 0] })]), this.scalar(1)]),
    ];
    return pick(this.#random, read)();
  }

  /** An integer made of the batch and of other such integers. */
  integer(y: string, depth = 0): string {
    const known = this.#integers;
    const choice = this.#random();
    if (depth > 3 || choice < 0.3) return this.batch(y);
    if (choice < 0.4 && known.length > 0) return pick(this.#random, known);
    const a = this.integer(y, depth + 1);
    const b = this.#random() < 0.6 ? this.scalar(1 + this.#below(9)) : this.integer(y, depth + 1);
    const atLeastOne = () => this.node("Max", [this.node("Abs", [b]), this.scalar(1)]);
    const make: (() => string)[] = [
      () => this.node("Add", [a, b]),
      () => this.node("Sub", [a, b]),
      () => this.node("Min", [a, b]),
      () => this.node("Max", [a, b]),
      () => this.node("Mul", [a, this.scalar(1 + this.#below(5))]),
      () => this.node("Div", [a, atLeastOne()]),
      () => this.node("Mod", [a, atLeastOne()]),
      () => this.node("Where", [this.condition(y, depth + 1), a, b]),
      () => this.node("Neg", [a]),
      () =>
        this.node("ReduceProd", [this.node("Concat", [this.listOf(a), this.list(3)], { axis: 0 })], { keepdims: 0 }),
    ];
    const result = pick(this.#random, make)();
    known.push(result);
    return result;
  }

  /** A truth value made of the batch. */
  condition(y: string, depth = 0): string {
    const [a, b] = [
      this.integer(y, depth + 1),
      this.#random() < 0.7 ? this.scalar(this.#below(9)) : this.integer(y, depth + 1),
    ];
    const compared = this.node(pick(this.#random, ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"]), [
      a,
      b,
    ]);
    const choice = this.#random();
    if (choice < 0.15) return this.node("Not", [compared]);
    return choice < 0.25 && depth < 3
      ? this.node(pick(this.#random, ["And", "Or"]), [compared, this.condition(y, depth + 1)])
      : compared;
  }

  /** A scalar as a list of one. */
  listOf(integer: string): string {
    return this.#random() < 0.5
      ? this.node("Unsqueeze", [integer, this.list(0)])
      : this.node("Reshape", [integer, this.list(1)]);
  }

  asFloat(integer: string): string {
    return this.node("Cast", [integer], { to: 1 });
  }

  shape(...parts: string[]): string {
    return this.node("Concat", parts, { axis: 0 });
  }

  /** A place among the samples. */
  place(y: string): string {
    return this.node("Mod", [this.integer(y), this.batch(y)]);
  }

  /** [batch, width] from [batch, width], by something that depends on the size of the batch. */
  step(y: string): string {
    const rows = (x: string) => this.node("Unsqueeze", [x, this.list(1)]);
    const range = () => this.node("Range", [this.scalar(0), this.batch(y), this.scalar(1)]);
    const steps: (() => string)[] = [
      () =>
        this.node(pick(this.#random, ["Mul", "Div", "Add", "Sub"]), [
          y,
          this.asFloat(this.node("Max", [this.integer(y), this.scalar(1)])),
        ]),
      () => this.node("Div", [this.node("ReduceSum", [y, this.list(0)], { keepdims: 1 }), this.asFloat(this.batch(y))]),
      () => this.node("Mul", [y, this.node("Sqrt", [this.asFloat(this.node("Abs", [this.integer(y)]))])]),
      () =>
        this.node("Mul", [
          y,
          this.node("Reciprocal", [
            this.node("Add", [this.asFloat(this.node("Abs", [this.integer(y)])), this.float(0.5)]),
          ]),
        ]),
      () => this.node("Where", [this.condition(y), y, this.node("Neg", [y])]),
      () => this.#branch(y),
      () => this.node("Sub", [y, this.node("Gather", [y, this.place(y)], { axis: 0 })]),
      () =>
        this.node("Add", [y, this.node("Gather", [y, this.node("Sub", [this.batch(y), this.scalar(1)])], { axis: 0 })]),
      () => this.node("Add", [y, rows(this.asFloat(range()))]),
      () =>
        this.node("Gather", [y, this.node("Mod", [this.node("Add", [range(), this.integer(y)]), this.batch(y)])], {
          axis: 0,
        }),
      () => this.node("Gather", [y, range()], { axis: 0 }),
      () => this.#slice(y),
      () => this.#apart(y),
      () =>
        this.node("Mul", [
          y,
          this.node("Expand", [this.float(0.5), this.shape(this.listOf(this.batch(y)), this.list(1))]),
        ]),
      () =>
        this.node("Add", [
          y,
          this.node("ConstantOfShape", [this.shape(this.listOf(this.batch(y)), this.list(width))], {
            value: floats([1], [0.25]),
          }),
        ]),
      () =>
        this.node("Add", [
          y,
          this.node("Tile", [this.constant(ramp(1, width)), this.shape(this.listOf(this.batch(y)), this.list(1))]),
        ]),
      () => this.#doubled(y),
      () => this.#covariance(y),
      () => this.#padded(y),
      () => this.#largest(y),
      () => this.#mixed(y),
      () => this.node("Add", [y, rows(this.node("CumSum", [this.asFloat(range()), this.scalar(0)]))]),
      () => this.node("Mul", [y, rows(this.asFloat(this.node("Less", [range(), this.integer(y)])))]),
      () => this.node("Softmax", [y], { axis: 0 }),
      () => this.#masked(y),
      () => this.#kept(y),
    ];
    return pick(this.#random, steps)();
  }

  #branch(y: string): string {
    const branch = (op: string) => ({ graph: { outputs: ["o"], nodes: [[op, [y], ["o"]]] as NodeText[] } });
    return this.node("If", [this.condition(y)], { then_branch: branch("Relu"), else_branch: branch("Neg") });
  }

  /** The sum of the first or last samples. */
  #slice(y: string): string {
    const place = this.listOf(this.node("Max", [this.integer(y), this.scalar(1)]));
    const part =
      this.#random() < 0.5
        ? this.node("Slice", [y, this.list(0), place, this.list(0)])
        : this.node("Slice", [y, this.node("Neg", [place]), this.list(2 ** 31), this.list(0)]);
    return this.node("Add", [y, this.node("ReduceSum", [part, this.list(0)], { keepdims: 1 })]);
  }

  /** Other shapes, and back. */
  #apart(y: string): string {
    const batch = () => this.listOf(this.batch(y));
    const shapes: (() => string)[] = [
      () => this.shape(batch(), this.list(2, 2)),
      () => this.shape(this.node("Mul", [batch(), this.list(2)]), this.list(2)),
      () => this.shape(this.list(2), batch(), this.list(2)),
      () => this.shape(this.list(-1), batch()),
      () => this.shape(this.list(width), this.list(-1)),
      () => this.list(-1),
      () => this.shape(this.node("Div", [this.node("Mul", [batch(), this.list(8)]), this.list(4)]), this.list(-1)),
    ];
    const apart = this.node("Tanh", [this.node("Reshape", [y, pick(this.#random, shapes)()])]);
    const back = this.#random() < 0.5 ? this.list(-1, width) : this.shape(batch(), this.list(width));
    return this.node("Reshape", [apart, back]);
  }

  /** The batch twice, of which a part is taken again. */
  #doubled(y: string): string {
    const twice = this.node("Concat", [y, this.node("Neg", [y])], { axis: 0 });
    const total = this.node("Gather", [this.node("Shape", [twice]), this.scalar(0)]);
    const half = this.listOf(this.node("Div", [total, this.scalar(2)]));
    const choice = this.#random();
    if (choice < 0.4) return this.node("Slice", [twice, half, this.listOf(total), this.list(0)]);
    if (choice < 0.7) return this.node("Split", [twice, this.shape(half, half)], { axis: 0 }, 2);
    const paired = this.node("Reshape", [twice, this.shape(this.list(2, -1), this.list(width))]);
    return this.node("ReduceMax", [paired], { axes: [0], keepdims: 0 });
  }

  #covariance(y: string): string {
    const turned = this.node("Transpose", [y], { perm: [1, 0] });
    const square = this.node("Div", [this.node("MatMul", [turned, y]), this.asFloat(this.batch(y))]);
    return this.node("Tanh", [this.node("MatMul", [y, square])]);
  }

  /** Samples of zeros behind, whose number depends on the batch, and without them again. */
  #padded(y: string): string {
    const count = this.listOf(this.node("Mod", [this.node("Abs", [this.integer(y)]), this.scalar(3)]));
    const padded = this.node("Pad", [y, this.shape(this.list(0, 0), count, this.list(0))]);
    const share = this.asFloat(this.node("Gather", [this.node("Shape", [padded]), this.scalar(0)]));
    return this.node("Div", [
      this.node("Slice", [padded, this.list(0), this.listOf(this.batch(y)), this.list(0)]),
      share,
    ]);
  }

  #largest(y: string): string {
    const count = this.listOf(this.node("Min", [this.batch(y), this.scalar(1 + this.#below(4))]));
    const largest = this.node("TopK", [y, count], { axis: 0 }, 2);
    return this.node("Sub", [y, this.node("ReduceSum", [largest, this.list(0)], { keepdims: 1 })]);
  }

  /** A product with a matrix of the batch by the batch. */
  #mixed(y: string): string {
    const batch = () => this.listOf(this.batch(y));
    const ones = this.node("ConstantOfShape", [this.shape(batch(), batch())], { value: floats([1], [1]) });
    const matrix =
      this.#random() < 0.5
        ? this.node("Trilu", [ones], { upper: this.#below(2) })
        : this.node("OneHot", [
            this.node("Range", [this.scalar(0), this.batch(y), this.scalar(1)]),
            this.batch(y),
            this.constant(floats([2], [0.5, 1])),
          ]);
    return this.node("Tanh", [this.node("MatMul", [matrix, y])]);
  }

  /** As torch writes `expand(-1, …)`: where −1 is asked for, the size stays. */
  #masked(y: string): string {
    const wanted = this.shape(this.listOf(this.batch(y)), this.list(-1));
    const isOpen = this.node("Equal", [wanted, this.list(-1)]);
    const shape = this.node("Where", [isOpen, this.node("Shape", [y]), wanted]);
    return this.node("Add", [y, this.node("Expand", [this.constant(ramp(1, width)), shape])]);
  }

  /** As torchvision's stochastic depth is exported: a number for each sample. */
  #kept(y: string): string {
    const size = this.node("Shape", [y], { start: 0, end: 1 });
    const noise = this.node("ConstantOfShape", [this.shape(size, this.list(1))], { value: floats([1], [1]) });
    return this.node("Mul", [y, this.node("Div", [noise, this.float(0.9)])]);
  }
}
