/**
 * Activation functions.
 *
 * Kinks follow torch: Relu and LeakyRelu have their left gradient at zero, Clip passes the gradient in the closed range, as
 * torch.clamp does, but in the open one from 0 to 6, as ReLU6, HardSigmoid in the open one, HardSwish in the closed one.
 */

import { floatAttribute, stringAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, subbyteDomain, type Value } from "../../ir/graph.ts";
import { type Tensor, toNumbers } from "../../ir/tensor.ts";
import { sameShape } from "../../ir/types.ts";
import { broadcastShapes, sumTo } from "../build/broadcast.ts";
import { foldClip, foldLeakyRelu, foldUnary } from "../build/fold/elementwise.ts";
import {
  clipOfEach,
  eluOfOne,
  geluOfOne,
  hardSigmoidOfOne,
  hardSwishOfOne,
  leakyReluOfOne,
  mishOfOne,
  reluOfEach,
  sigmoidOfOne,
  slopedOfEach,
  softplusOfOne,
  softsignOfOne,
  tanhOfOne,
} from "../build/functions-of-one.ts";
import { atLeast, atMost, floatBefore, positive } from "../build/masks.ts";
import { commonDtype, type Operand, present, sameAsInput, scalarOf } from "../build/operands.ts";
import {
  type GradientContext,
  type OperatorColumns,
  type OperatorDefinition,
  requiredInput,
  typeError,
} from "../definition.ts";
import { data, parameter } from "../inputs.ts";
import { insideLimits } from "../internal/inside-limits.ts";
import { swish as swishOfFiles } from "../rewrite/functions.ts";
import { clipUpgrades } from "../rewrite/upgrades.ts";
import { cast } from "./cast.ts";
import { equal } from "./comparison.ts";
import { absolute, add, divide, erf, exponential, minimum, multiply, square, subtract } from "./elementwise.ts";

/** max(x, 0) */
export function relu(b: GraphBuilder, x: Value): Value {
  return b.one("Relu", [x]);
}

/** 1 where y > 0, else 0, in the form that joins with other limits of y. */
function isPositive(b: GraphBuilder, y: Value): Value {
  return y.type.dtype === "float32" ? insideLimits(b, y, { positive: true }) : positive(b, y);
}

/** dy where y > 0, else 0: the backward pass of Relu from its output y. */
export function reluGrad(b: GraphBuilder, dy: Value, y: Value): Value {
  return b.one("ReluGrad", [dy, y], {}, { domain: subbyteDomain });
}

/** x limited to low..high; a bound may be left out. */
export function clip(b: GraphBuilder, x: Value, low?: Operand, high?: Operand): Value {
  const bound = (limit: Operand | undefined) => (typeof limit === "number" ? scalarOf(b, limit, x.type.dtype) : limit);
  return b.one("Clip", present([x, bound(low), bound(high)]));
}

/** 1 / (1 + e^−x) */
export function sigmoid(b: GraphBuilder, x: Value): Value {
  return b.one("Sigmoid", [x]);
}

/** clip(alpha·x + beta, 0, 1); the defaults are torch's 1/6 and 1/2. */
export function hardSigmoid(b: GraphBuilder, x: Value, alpha = 1 / 6, beta = 0.5): Value {
  return b.one("HardSigmoid", [x], { alpha: { float: alpha }, beta: { float: beta } });
}

/** The hyperbolic tangent. */
export function tanh(b: GraphBuilder, x: Value): Value {
  return b.one("Tanh", [x]);
}

/** x · Φ(x), exactly or by the approximation with tanh. */
export function gelu(b: GraphBuilder, x: Value, approximate: "none" | "tanh" = "none"): Value {
  return b.one("Gelu", [x], { approximate });
}

/** x·clip(x/6 + 1/2, 0, 1) */
export function hardSwish(b: GraphBuilder, x: Value): Value {
  return b.one("HardSwish", [x]);
}

/** x, or alpha·x below 0. */
export function leakyRelu(b: GraphBuilder, x: Value, alpha: number): Value {
  return b.one("LeakyRelu", [x], { alpha: { float: alpha } });
}

/** log(1 + e^x) */
export function softplus(b: GraphBuilder, x: Value): Value {
  return b.one("Softplus", [x]);
}

/** A bound of Clip that is known when the graph is built: a constant, or an attribute of older opsets. */
function knownBound(context: GradientContext, input: number, attribute: string): number | undefined {
  const { builder, node } = context;
  const value = node.inputs[input];
  if (value === undefined) {
    return node.attributes[attribute] === undefined ? undefined : floatAttribute(node, attribute);
  }
  const tensor: Tensor | undefined = builder.constantOf(value);
  return tensor === undefined ? undefined : toNumbers(tensor)[0];
}

const floatBelowSix = floatBefore(6);

/** 1 where 0 < y < 6, else 0, of the output, so that the input need not be kept. */
function insideRelu6(b: GraphBuilder, x: Value, y: Value): Value {
  if (y.type.dtype === "float32") return insideLimits(b, y, { positive: true, upper: floatBelowSix });
  return multiply(b, positive(b, x), atMost(b, x, floatBelowSix));
}

function clipGradient(context: GradientContext): (Value | undefined)[] {
  const { builder: b, node, input, output, outputGradient, needed } = context;
  const dy = outputGradient(0);
  const computed = [1, 2].some((i) => node.inputs[i] !== undefined && b.constantOf(input(i)) === undefined);
  if (!computed) {
    if (!needed[0]) return [];
    const low = knownBound(context, 1, "min");
    const high = knownBound(context, 2, "max");
    // Codes lie on the bounds themselves: gradients that pass there explode where many batch normalizations follow.
    if (low === 0 && high === 6) return [multiply(b, dy, insideRelu6(b, input(0), output(0)))];
    let gradient = dy;
    if (low !== undefined && low > -3.4e38) gradient = multiply(b, gradient, atLeast(b, input(0), low));
    if (high !== undefined && high < 3.4e38) gradient = multiply(b, gradient, atMost(b, input(0), high));
    return [gradient];
  }
  // Bounds that are computed: an element that left the range belongs to the bound that it left through.
  const unchanged = multiply(b, dy, cast(b, equal(b, input(0), output(0)), dy.type.dtype));
  const outside = subtract(b, dy, unchanged);
  const moved = subtract(b, output(0), input(0));
  const bound = (i: number, difference: Value) =>
    needed[i] ? sumTo(b, multiply(b, outside, positive(b, difference)), input(i).type.shape) : undefined;
  const back = b.one("Neg", [moved]);
  return [needed[0] ? unchanged : undefined, bound(1, moved), bound(2, back)];
}

/** x limited to the closed range in which HardSwish is curved, as an indicator. */
function insideThree(b: GraphBuilder, x: Value): Value {
  return atMost(b, absolute(b, x), 3);
}

const inverseSqrtTwoPi = 1 / Math.sqrt(2 * Math.PI);

/** Φ(x) + x·φ(x) */
function geluSlope(b: GraphBuilder, x: Value): Value {
  const cumulative = multiply(b, add(b, erf(b, multiply(b, x, Math.SQRT1_2)), 1), 0.5);
  const density = multiply(b, exponential(b, multiply(b, square(b, x), -0.5)), inverseSqrtTwoPi);
  return add(b, cumulative, multiply(b, x, density));
}

/** With t = tanh(u), u = √(2/π)·(x + 0.044715·x³): ½(1 + t) + ½x(1 − t²)u′ */
function geluTanhSlope(b: GraphBuilder, x: Value): Value {
  const scale = Math.sqrt(2 / Math.PI);
  const cubic = 0.044715;
  const xx = square(b, x);
  const t = tanh(b, multiply(b, x, add(b, multiply(b, xx, scale * cubic), scale)));
  const inner = add(b, multiply(b, xx, 3 * scale * cubic), scale);
  const curve = multiply(b, multiply(b, x, inner), subtract(b, 1, square(b, t)));
  return multiply(b, add(b, add(b, t, 1), curve), 0.5);
}

/** An activation by the slope that its gradient is multiplied by. */
function activation(
  op: string,
  slope: (context: GradientContext) => Value,
  columns: OperatorColumns = {},
): OperatorDefinition {
  return {
    op,
    domain: "",
    infer: sameAsInput,
    gradient: (context) => [multiply(context.builder, context.outputGradient(0), slope(context))],
    blocked: "pointwise",
    ...columns,
  };
}

/** max(x, 0). */
export const reluOperator: OperatorDefinition = {
  op: "Relu",
  domain: "",
  blocked: "pointwise",
  infer: sameAsInput,
  gradient: ({ builder, output, outputGradient }) => [reluGrad(builder, outputGradient(0), output(0))],
  fold: foldUnary((x) => Math.max(x, 0)),
  traits: {
    module: true,
    comparable: true,
    passesCodes: "each",
    nonNegative: "always",
    cheap: true,
    ofEach: reluOfEach,
  },
};

/** min(max(x, low), high). */
export const clipOperator: OperatorDefinition = {
  op: "Clip",
  domain: "",
  upgrades: clipUpgrades,
  blocked: "pointwise",
  infer(call) {
    const input = requiredInput(call, 0);
    commonDtype(call);
    for (const bound of [call.inputs[1], call.inputs[2]]) {
      if (bound?.shape.some((size) => size !== 1)) throw typeError(call, "a bound is not a scalar");
    }
    return [input];
  },
  gradient: clipGradient,
  fold: foldClip,
  traits: {
    passesCodes: "each",
    inPlace: true,
    cheap: true,
    ofEach: clipOfEach,
    nonNegative: ({ isNonNegative, constant }) => {
      const low = constant(1);
      return (low !== undefined && (toNumbers(low)[0] ?? -1) >= 0) || isNonNegative(0);
    },
  },
};

/** 1 / (1 + e^−x) */
export const sigmoidOperator: OperatorDefinition = activation(
  "Sigmoid",
  ({ builder: b, output }) => multiply(b, output(0), subtract(b, 1, output(0))),
  {
    fold: foldUnary((x) => 1 / (1 + Math.exp(-x))),
    traits: { nonNegative: "always", ofOne: sigmoidOfOne },
  },
);

/** The operators of this file. */
export const activationOperators: readonly OperatorDefinition[] = [
  reluOperator,
  {
    op: "ReluGrad",
    domain: subbyteDomain,
    infer(call) {
      const [dy, y] = [requiredInput(call, 0), requiredInput(call, 1)];
      if (!sameShape(dy.shape, y.shape)) throw typeError(call, "the shapes differ");
      return [dy];
    },
    // Relu is flat on both sides, so there is nothing to differentiate but the product with dy.
    gradient: ({ builder, input, outputGradient, needed }) => [
      needed[0] ? reluGrad(builder, outputGradient(0), input(1)) : undefined,
    ],
    lower: ({ builder, input }) => [multiply(builder, input(0), isPositive(builder, input(1)))],
  },
  clipOperator,
  sigmoidOperator,
  activation("Tanh", ({ builder: b, output }) => subtract(b, 1, square(b, output(0))), {
    fold: foldUnary(Math.tanh),
    traits: { ofOne: tanhOfOne },
  }),
  activation(
    "HardSigmoid",
    ({ builder: b, node, output }) => {
      const y = output(0);
      const inside = positive(b, multiply(b, y, subtract(b, 1, y)));
      return multiply(b, inside, floatAttribute(node, "alpha", 0.2));
    },
    { traits: { nonNegative: "always", cheap: true, ofOne: hardSigmoidOfOne } },
  ),
  activation(
    "HardSwish",
    ({ builder: b, input }) => {
      const x = input(0);
      return add(b, hardSigmoid(b, x), multiply(b, multiply(b, x, 1 / 6), insideThree(b, x)));
    },
    { traits: { ofOne: hardSwishOfOne } },
  ),
  activation(
    "Gelu",
    ({ builder: b, node, input }) => {
      const form = stringAttribute(node, "approximate", "none");
      return form === "tanh" ? geluTanhSlope(b, input(0)) : geluSlope(b, input(0));
    },
    { traits: { ofOne: geluOfOne } },
  ),
  activation(
    "LeakyRelu",
    ({ builder: b, node, input }) => {
      const alpha = floatAttribute(node, "alpha", 0.01);
      return add(b, multiply(b, positive(b, input(0)), 1 - alpha), alpha);
    },
    { fold: foldLeakyRelu, traits: { ofOne: leakyReluOfOne } },
  ),
  {
    op: "PRelu",
    domain: "",
    inputs: [data("x"), parameter("slope", "other")],
    infer(call) {
      const [x, slope] = [requiredInput(call, 0), requiredInput(call, 1)];
      const shape = broadcastShapes(x.shape, slope.shape);
      if (shape === undefined || !sameShape(shape, x.shape)) throw typeError(call, "the slope does not broadcast to x");
      commonDtype(call);
      return [x];
    },
    gradient: ({ builder: b, input, outputGradient, needed }) => {
      const [x, slope, dy] = [input(0), input(1), outputGradient(0)];
      const kept = () => multiply(b, dy, positive(b, x));
      return [
        needed[0] ? add(b, kept(), multiply(b, slope, subtract(b, dy, kept()))) : undefined,
        needed[1] ? sumTo(b, multiply(b, dy, minimum(b, x, 0)), slope.type.shape) : undefined,
      ];
    },
    traits: { ofEach: slopedOfEach },
  },
  activation(
    "Elu",
    ({ builder: b, node, input, output }) => {
      const [mask, alpha] = [positive(b, input(0)), floatAttribute(node, "alpha", 1)];
      // Below zero the slope is alpha·e^x = y + alpha.
      return add(b, mask, multiply(b, subtract(b, 1, mask), add(b, output(0), alpha)));
    },
    { traits: { ofOne: eluOfOne } },
  ),
  activation("Softplus", ({ builder: b, input }) => sigmoid(b, input(0)), {
    traits: { nonNegative: "always", ofOne: softplusOfOne },
  }),
  activation(
    "Softsign",
    ({ builder: b, input }) => {
      const spread = add(b, absolute(b, input(0)), 1);
      return divide(b, 1, square(b, spread));
    },
    { traits: { ofOne: softsignOfOne } },
  ),
  activation(
    "Mish",
    ({ builder: b, input }) => {
      const x = input(0);
      const t = tanh(b, softplus(b, x));
      return add(b, t, multiply(b, multiply(b, x, sigmoid(b, x)), subtract(b, 1, square(b, t))));
    },
    { traits: { ofOne: mishOfOne } },
  ),
  activation(
    "Swish",
    ({ builder: b, node, input, output }) => {
      const alpha = floatAttribute(node, "alpha", 1);
      const s = sigmoid(b, multiply(b, input(0), alpha));
      return add(b, s, multiply(b, multiply(b, output(0), alpha), subtract(b, 1, s)));
    },
    // Files' nodes become the product that it is.
    { blocked: undefined, reading: "as others", decompose: swishOfFiles },
  ),
];
