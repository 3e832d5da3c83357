/** Functions of one value for random networks, which need codes to be tabulated: as one node, or in the parts that exporters write. */
import type { GraphBuilder, Value } from "../../../../src/ir/graph.ts";
import { float32Tensor } from "../../../../src/ir/tensor.ts";
import { clip, hardSigmoid, sigmoid, tanh } from "../../../../src/ops/families/activations.ts";
import { greater, where } from "../../../../src/ops/families/comparison.ts";
import {
  absolute,
  add,
  divide,
  erf,
  exponential,
  maximum,
  multiply,
  negate,
  power,
  squareRoot,
  subtract,
} from "../../../../src/ops/families/elementwise.ts";

/** One number for each channel, from a first one on. */
function perChannel(b: GraphBuilder, { type: { shape } }: Value, first: number): Value {
  const [, channels = 1, ...sizes] = shape;
  const numbers = Float32Array.from({ length: channels }, (_, k) => first + k / 4);
  return b.constant(float32Tensor([channels, ...sizes.map(() => 1)], numbers));
}

/** The functions by name. */
export const functions = {
  silu: (b: GraphBuilder, x: Value) => multiply(b, x, sigmoid(b, x)),
  hardSwish: (b: GraphBuilder, x: Value) => b.one("HardSwish", [x]),
  hardSigmoid: (b: GraphBuilder, x: Value) => hardSigmoid(b, x),
  tanh: (b: GraphBuilder, x: Value) => tanh(b, x),
  leakyRelu: (b: GraphBuilder, x: Value) => b.one("LeakyRelu", [x], { alpha: { float: 0.1 } }),
  gelu: (b: GraphBuilder, x: Value) => b.one("Gelu", [x]),
  mish: (b: GraphBuilder, x: Value) => b.one("Mish", [x]),
  "erf gelu": (b: GraphBuilder, x: Value) =>
    multiply(b, multiply(b, x, 0.5), add(b, erf(b, divide(b, x, Math.SQRT2)), 1)),
  "tanh gelu": (b: GraphBuilder, x: Value) => {
    const inner = multiply(b, add(b, x, multiply(b, power(b, x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
    return multiply(b, multiply(b, x, 0.5), add(b, 1, tanh(b, inner)));
  },
  "quick gelu": (b: GraphBuilder, x: Value) => multiply(b, x, sigmoid(b, multiply(b, x, 1.702))),
  "hard swish in parts": (b: GraphBuilder, x: Value) => divide(b, multiply(b, x, clip(b, add(b, x, 3), 0, 6)), 6),
  square: (b: GraphBuilder, x: Value) => multiply(b, x, x),
  sloped: (b: GraphBuilder, x: Value) => b.one("PRelu", [x, perChannel(b, x, -0.25)]),
  "exponential per channel": (b: GraphBuilder, x: Value) =>
    subtract(b, 1, multiply(b, exponential(b, negate(b, absolute(b, x))), perChannel(b, x, 0.5))),
  thresholded: (b: GraphBuilder, x: Value) => where(b, greater(b, x, 0.2), x, b.scalar(-0.5)),
  root: (b: GraphBuilder, x: Value) => squareRoot(b, add(b, multiply(b, maximum(b, x, 0.1), 2), 0.5)),
  /** No function that needs a table: it is folded. */
  halved: (b: GraphBuilder, x: Value) => subtract(b, divide(b, x, perChannel(b, x, 2)), perChannel(b, x, 0.25)),
} as const;
