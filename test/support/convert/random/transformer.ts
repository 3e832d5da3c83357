/** Random small transformers for conversion: tokens of features, attention with its masks and positions, two layers after it. */
import fc from "fast-check";
import type { GraphBuilder, Value } from "../../../../src/ir/graph.ts";
import type { Network } from "../../../../src/ir/network.ts";
import { float32Tensor, int64Tensor, makeTensor } from "../../../../src/ir/tensor.ts";
import { elementCount, type Shape } from "../../../../src/ir/types.ts";
import { NetworkBuilder } from "../../../../src/models/network-builder.ts";
import { sigmoid } from "../../../../src/ops/families/activations.ts";
import { cast } from "../../../../src/ops/families/cast.ts";
import { where } from "../../../../src/ops/families/comparison.ts";
import { add, divide, multiply, subtract } from "../../../../src/ops/families/elementwise.ts";
import { matmul } from "../../../../src/ops/families/matmul.ts";
import { reduceMean, reduceSum } from "../../../../src/ops/families/reduce.ts";
import { gather } from "../../../../src/ops/families/shape/indexing.ts";
import {
  concat,
  flatten,
  reshape,
  slice,
  split,
  transpose,
  unsqueeze,
} from "../../../../src/ops/families/shape/shape-ops.ts";
import { softmax } from "../../../../src/ops/families/softmax.ts";
import { seeded } from "../../random.ts";

export interface TransformerDescription {
  readonly tokens: number;
  readonly features: number;
  readonly heads: number;
  /** Features of a head; even. */
  readonly size: number;
  /** Whether the batch is the second axis, as in torch's older layers. */
  readonly isBatchSecond: boolean;
  /** What enters: features, or numbers of tokens of which a second input says which there are. */
  readonly enters: "features" | "tokens" | "tokens and an added mask" | "tokens and a chosen mask";
  readonly position: "none" | "added" | "rotary";
  readonly mask: "none" | "added" | "chosen";
  readonly normalization: "layer" | "instance" | "none";
  readonly activation: "gelu" | "relu" | "silu";
  readonly head: "mean" | "first" | "flatten" | "tokens";
}

export const transformerDescriptions: fc.Arbitrary<TransformerDescription> = fc.record({
  tokens: fc.integer({ min: 1, max: 6 }),
  features: fc.integer({ min: 1, max: 4 }),
  heads: fc.integer({ min: 1, max: 3 }),
  size: fc.constantFrom(2, 4),
  isBatchSecond: fc.boolean(),
  enters: fc.constant("features"),
  position: fc.constantFrom("none", "added", "rotary"),
  mask: fc.constantFrom("none", "added", "chosen"),
  normalization: fc.constantFrom("layer", "layer", "instance", "none"),
  activation: fc.constantFrom("gelu", "relu", "silu"),
  head: fc.constantFrom("mean", "first", "flatten", "tokens"),
});

/** One transformer of many. */
export const transformerExample: TransformerDescription = {
  tokens: 3,
  features: 2,
  heads: 2,
  size: 4,
  isBatchSecond: false,
  enters: "features",
  position: "added",
  mask: "none",
  normalization: "layer",
  activation: "gelu",
  head: "tokens",
};

/** Numbers of tokens that there are. */
export const vocabulary = 7;

/** The parts of a network, with random values. */
class TokenNetwork {
  readonly network: NetworkBuilder;
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.network = new NetworkBuilder("random", { uniform: this.#random, normal: () => 2 * this.#random() - 1 });
  }

  get builder(): GraphBuilder {
    return this.network.builder;
  }

  numbers(shape: Shape, reach: number) {
    return float32Tensor(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => (2 * this.#random() - 1) * reach),
    );
  }

  /** A layer on the last axis. */
  linear(name: string, x: Value, features: number): Value {
    const { builder, network } = this;
    const inFeatures = x.type.shape.at(-1) ?? 1;
    const weight = network.parameter(`${name}.weight`, "weight", this.numbers([inFeatures, features], 1));
    const bias = network.parameter(`${name}.bias`, "bias", this.numbers([features], 0.5));
    return network.layer(name, () => add(builder, builder.one("MatMul", [x, weight], {}, { name }), bias));
  }

  normalized(name: string, x: Value, kind: TransformerDescription["normalization"]): Value {
    if (kind === "none") return x;
    if (kind === "layer") return this.network.layerNorm(name, x);
    const channels = x.type.shape[1] ?? 1;
    const scale = this.network.parameter(`${name}.weight`, "normalization-scale", this.numbers([channels], 2));
    const bias = this.network.parameter(`${name}.bias`, "normalization-bias", this.numbers([channels], 1));
    return this.builder.one("InstanceNormalization", [x, scale, bias], { epsilon: { float: 1e-5 } }, { name });
  }
}

/** Features turned by angles that grow with the place. */
function rotated(b: GraphBuilder, x: Value): Value {
  const [, , tokens = 1, size = 1] = x.type.shape;
  const half = size / 2;
  const angles = Array.from({ length: tokens * size }, (_, i) => Math.floor(i / size) / (1 + (i % half)));
  const table = (value: (angle: number) => number): Value =>
    b.constant(float32Tensor([tokens, size], Float32Array.from(angles, value)), "rotation");
  const [first, second] = [0, half].map((start) => slice(b, x, { axes: [3], starts: [start], ends: [start + half] }));
  if (first === undefined || second === undefined) return x;
  const turned = concat(b, [multiply(b, second, -1), first], 3);
  return add(b, multiply(b, x, table(Math.cos)), multiply(b, turned, table(Math.sin)));
}

/** The softmax of scores, and behind a mask of pairs the zeros that torch writes for rows that it leaves empty. */
function shares(b: GraphBuilder, scores: Value, enters: TransformerDescription["enters"]): Value {
  const made = softmax(b, scores);
  return enters === "tokens and a chosen mask" ? where(b, b.one("IsNaN", [made]), b.scalar(0), made) : made;
}

/** Scores of the tokens that there are. */
function ofTokensThere(b: GraphBuilder, scores: Value, there: Value, isAdded: boolean): Value {
  const row = unsqueeze(b, there, [1, 2]);
  if (!isAdded) {
    // As torch writes a mask of pairs, which then has a row for each token.
    const tokens = scores.type.shape.at(-1) ?? 1;
    const all = b.constant(makeTensor("bool", [1, 1, tokens, 1], new Uint8Array(tokens).fill(1)), "all");
    const pairs = b.one("And", [all, unsqueeze(b, cast(b, there, "bool"), [1, 2])]);
    return add(b, scores, where(b, pairs, b.scalar(0), b.scalar(-3.4e38)));
  }
  const missing = subtract(b, b.scalar(1), cast(b, row, "float32"));
  return add(b, scores, multiply(b, missing, -1e9));
}

function masked(b: GraphBuilder, scores: Value, mask: TransformerDescription["mask"]): Value {
  const tokens = scores.type.shape.at(-1) ?? 1;
  const places = Array.from({ length: tokens * tokens }, (_, i) => i % tokens <= Math.floor(i / tokens));
  const shape = [tokens, tokens];
  if (mask === "none") return scores;
  if (mask === "added") {
    const low = Float32Array.from(places, (kept) => (kept ? 0 : Number.NEGATIVE_INFINITY));
    return add(b, scores, b.constant(float32Tensor(shape, low), "mask"));
  }
  const kept = b.constant(makeTensor("bool", shape, Uint8Array.from(places, Number)), "mask");
  return where(b, kept, scores, b.scalar(-1e9));
}

/** The float network of a description. */
export function transformerNetwork(description: TransformerDescription, seed: number): Network {
  const { tokens, features, heads, size, isBatchSecond, enters, position, mask, normalization, activation } =
    description;
  const parts = new TokenNetwork(seed);
  const { builder: b, network } = parts;
  const width = heads * size;
  const numbers = (name: string): Value => b.input(name, { dtype: "int64", shape: [1, tokens] });
  const embedded = (): Value =>
    gather(b, network.parameter("embedding", "other", parts.numbers([vocabulary, width], 2)), numbers("tokens"), 0);
  let x = enters === "features" ? parts.linear("in", network.input("tokens", [tokens, features]), width) : embedded();
  const there = enters === "features" || enters === "tokens" ? undefined : numbers("there");
  if (position === "added") x = add(b, x, network.parameter("position", "other", parts.numbers([1, tokens, width], 1)));
  const read = parts.normalized("norm1", x, normalization);
  const moved = isBatchSecond ? transpose(b, read, [1, 0, 2]) : read;
  const inHeads = (value: Value): Value =>
    isBatchSecond
      ? transpose(b, reshape(b, value, [tokens, -1, heads, size]), [1, 2, 0, 3])
      : transpose(b, reshape(b, value, [0, tokens, heads, size]), [0, 2, 1, 3]);
  const [queries, keys, values] = split(b, parts.linear("qkv", moved, 3 * width), 2, [width, width, width]).map(
    inHeads,
  );
  if (queries === undefined || keys === undefined || values === undefined) throw new Error("three parts are made");
  const turn = (value: Value): Value => (position === "rotary" ? rotated(b, value) : value);
  // As layers that join the batch with the heads: [N·heads, T, D], also of one token.
  const product = (x: Value, y: Value): Value => {
    if (position !== "none") return matmul(b, x, y);
    const joined = [x, y].map((value) => reshape(b, value, [-1, ...value.type.shape.slice(2)]));
    const [first, second] = joined;
    if (first === undefined || second === undefined) throw new Error("two factors are joined");
    const made = matmul(b, first, second);
    return reshape(b, made, [-1, heads, ...made.type.shape.slice(1)]);
  };
  const scores = network.layer("scores", () =>
    product(multiply(b, turn(queries), 1 / Math.sqrt(size)), transpose(b, turn(keys), [0, 1, 3, 2])),
  );
  const kept =
    there === undefined
      ? masked(b, scores, mask)
      : ofTokensThere(b, scores, there, enters === "tokens and an added mask");
  const mixed = network.layer("mixed", () => matmul(b, shares(b, kept, enters), values));
  const joined = reshape(b, transpose(b, mixed, [0, 2, 1, 3]), [0, tokens, width]);
  x = network.add("add1", x, parts.linear("out", joined, width));
  const hidden = parts.linear("up", parts.normalized("norm2", x, normalization), width + 1);
  const active =
    activation === "silu"
      ? multiply(b, hidden, sigmoid(b, hidden))
      : b.one(activation === "gelu" ? "Gelu" : "Relu", [hidden]);
  x = network.add("add2", x, parts.linear("down", active, width));
  return network.finish(parts.linear("head", headed(b, x, description.head, there), 3));
}

/** @param there Which tokens there are: a mean is one of those. */
function headed(b: GraphBuilder, x: Value, head: TransformerDescription["head"], there: Value | undefined): Value {
  switch (head) {
    case "mean": {
      if (there !== undefined) {
        const weights = cast(b, unsqueeze(b, there, [2]), "float32");
        const sum = reduceSum(b, multiply(b, x, weights), [1], { keepDimensions: false });
        return divide(b, sum, reduceSum(b, weights, [1], { keepDimensions: false }));
      }
      return reduceMean(b, x, [1], { keepDimensions: false });
    }
    case "first":
      return gather(b, x, b.constant(int64Tensor([0], [])), 1);
    case "flatten":
      return flatten(b, x);
    case "tokens":
      return x;
  }
}
