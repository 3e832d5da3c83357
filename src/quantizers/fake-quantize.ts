/**
 * FakeQuantize as an operator: a node that names its quantizer. Its type rule is the identity; its forward and its
 * gradient are asked of the quantizer when it is lowered.
 */
import { defined } from "../base/defined.ts";
import { GraphError } from "../errors.ts";
import { type AttributeSource, specAttribute } from "../ir/attributes.ts";
import { type GraphBuilder, type Node, showNode, subbyteDomain, type Value } from "../ir/graph.ts";
import { filled } from "../ir/tensor.ts";
import { elementCount, type TensorType } from "../ir/types.ts";
import { type GradientRule, type Lowering, type OperatorDefinition, requiredInput } from "../ops/definition.ts";
import { multiply } from "../ops/families/elementwise.ts";
import { reshape } from "../ops/families/shape/shape-ops.ts";
import { tableOperators } from "./arithmetic/table-operators.ts";
import {
  broadcastShape,
  type GridValues,
  type ParameterValues,
  type QuantizerContext,
  type QuantizerSpec,
} from "./definition.ts";
import { quantizerNamed } from "./index.ts";

/** Adds a FakeQuantize node. `parameters` holds every parameter of the spec's quantizer. */
export function fakeQuantize(
  builder: GraphBuilder,
  x: Value,
  spec: QuantizerSpec,
  parameters: ParameterValues,
  name?: string,
): Value {
  const inputs = quantizerNamed(spec.quantizer)
    .parameters(spec, x.type)
    .map((parameter) => parameters[parameter.name]);
  return builder.one(
    "FakeQuantize",
    [x, ...inputs],
    { spec: { spec } },
    { domain: subbyteDomain, ...defined({ name }) },
  );
}

/** The spec that a FakeQuantize node carries. */
export function specOf(source: AttributeSource): QuantizerSpec {
  return specAttribute(source, "spec");
}

/** Returns whether a node fake-quantizes a tensor. */
export function isFakeQuantize(node: Node): boolean {
  return node.op === "FakeQuantize" && node.domain === subbyteDomain;
}

/** A node's tensor and parameters, shaped for the quantizer: groups become rows, parameters broadcast over x. */
function quantizerContext(
  context: Parameters<Lowering>[0],
  x: Value,
  parameterInputs: readonly (Value | undefined)[],
): QuantizerContext {
  const { builder, node, target } = context;
  const spec = specOf(node);
  const rows = spec.groupSize === undefined ? x : intoRows(builder, x, spec.groupSize);
  const values = new Map(
    quantizerNamed(spec.quantizer)
      .parameters(spec, x.type)
      .map(({ name }, index) => [name, parameterInputs[index]]),
  );
  const shaped = shapedParameters(builder, spec, x.type, values, showNode(node));
  return { builder, target, x: rows, ...shaped };
}

/** The parameters of a quantizer, shaped to broadcast over the rows that share them, and the spec of these rows. */
function shapedParameters(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  type: TensorType,
  values: ReadonlyMap<string, Value | undefined>,
  where: string,
): Pick<QuantizerContext, "spec" | "parameters"> {
  const shared: QuantizerSpec = spec.groupSize === undefined ? spec : { ...spec, channelAxis: 0 };
  const rank = spec.groupSize === undefined ? type.shape.length : 2;
  const parameters: Record<string, Value> = {};
  for (const { name, isList } of quantizerNamed(spec.quantizer).parameters(spec, type)) {
    const value = values.get(name);
    if (value === undefined) throw new GraphError(`parameter "${name}" is missing`, { where });
    parameters[name] =
      isList === true ? value : reshape(builder, value, broadcastShape(shared, value.type.shape, rank));
  }
  return { spec: shared, parameters };
}

/**
 * Returns the grid of a tensor's codes as values that broadcast over the tensor; undefined where its quantizer has none.
 *
 * @param parameters The values of the quantizer's parameters, by the quantizer's names.
 */
export function gridValuesOf(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  { name, type }: Value,
  parameters: ReadonlyMap<string, Value>,
): GridValues | undefined {
  const { grid } = quantizerNamed(spec.quantizer);
  if (grid === undefined) return undefined;
  const values = grid({ builder, ...shapedParameters(builder, spec, type, parameters, `tensor "${name}"`) });
  const size = spec.groupSize;
  if (size === undefined) return values;
  const { scale, zeroPoint, offset, ...rest } = values;
  const ones = builder.constant(filled([elementCount(type.shape) / size, size], 1));
  const spread = (value: Value): Value => reshape(builder, multiply(builder, value, ones), type.shape);
  return {
    ...rest,
    scale: spread(scale),
    ...(zeroPoint === undefined ? {} : { zeroPoint: spread(zeroPoint) }),
    ...(offset === undefined ? {} : { offset: spread(offset) }),
  };
}

function intoRows(builder: GraphBuilder, x: Value, size: number): Value {
  return reshape(builder, x, [elementCount(x.type.shape) / size, size]);
}

const lowerForward: Lowering = (context) => {
  const x = context.input(0);
  const inner = quantizerContext(context, x, context.inputs.slice(1));
  const y = quantizerNamed(inner.spec.quantizer).forward(inner);
  return [reshape(context.builder, y, x.type.shape)];
};

/** Only trained parameters get a gradient: one that follows an observer is a constant of the step, as in torch. */
const gradientRule: GradientRule = (context) => {
  const { builder, node } = context;
  const spec = specOf(node);
  const [dx, ...gradients] = builder.node(
    "FakeQuantizeGrad",
    [context.outputGradient(0), context.output(0), ...node.inputs],
    node.attributes,
    { domain: subbyteDomain },
  );
  const parameters = quantizerNamed(spec.quantizer).parameters(spec, context.input(0).type);
  return [dx, ...gradients.map((gradient, index) => (parameters[index]?.trainable === true ? gradient : undefined))];
};

/** Inputs: dy, y, x, parameters. Outputs: dx, then a gradient for each parameter (zeros never: absent where untrained). */
const lowerGradient: Lowering = (context) => {
  const { builder } = context;
  const x = context.input(2);
  const inner = quantizerContext(context, x, context.inputs.slice(3));
  const rows = (value: Value) =>
    inner.spec.groupSize === undefined ? value : intoRows(builder, value, inner.spec.groupSize);
  const definition = quantizerNamed(inner.spec.quantizer);
  const gradients = definition.gradient({ ...inner, dy: rows(context.input(0)), y: rows(context.input(1)) });
  const parameters = definition.parameters(specOf(context.node), x.type);
  return [
    reshape(builder, gradients.x, x.type.shape),
    ...parameters.map((parameter) => {
      const gradient = gradients.parameters[parameter.name];
      return gradient === undefined ? undefined : reshape(builder, gradient, parameter.shape);
    }),
  ];
};

/** FakeQuantize, its gradient, and the operators that quantizers are lowered to. */
export const quantizerOperators: readonly OperatorDefinition[] = [
  {
    op: "FakeQuantize",
    domain: subbyteDomain,
    infer: (call) => [requiredInput(call, 0)],
    gradient: gradientRule,
    lower: lowerForward,
    traits: { nonNegative: "when-first-input", work: "quantizers" },
  },
  {
    op: "FakeQuantizeGrad",
    domain: subbyteDomain,
    infer: (call) => call.inputs.slice(2).map((_, index) => requiredInput(call, index + 2)),
    lower: lowerGradient,
    traits: { work: "quantizers" },
  },
  ...tableOperators,
];
