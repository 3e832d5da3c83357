/**
 * SampleNormalization layers. BatchNormalization in evaluation is ONNX's own operator; in training it is `BatchNormTrain`,
 * which follows torch: the batch is normalised by its biased variance, the running variance takes the unbiased one.
 */

import { defined } from "../../base/defined.ts";
import { GraphError } from "../../errors.ts";
import { floatAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, type OperatorCall, onnxDomain, subbyteDomain, type Value } from "../../ir/graph.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import {
  type BatchStatistics,
  inverseDeviation,
  shiftedBatchNorm,
  shiftedBatchNormGrad,
} from "../cpu/batch-norm-shifted.ts";
import {
  type GradientRule,
  type Lowering,
  type LoweringContext,
  type OperatorDefinition,
  requiredInput,
  typeError,
} from "../definition.ts";
import { normalizationInputs, parameter } from "../inputs.ts";
import { perChannel } from "../internal/channel-ops.ts";
import { batchNormalizationUpgrades } from "../rewrite/upgrades.ts";
import { add, multiply, subtract } from "./elementwise.ts";
import { reduceMean, reduceSum } from "./reduce.ts";

const defaultEpsilon = 1e-5;

/** x[N,C,...] normalised with given statistics; scale, bias, mean and variance are [C]. */
export function batchNormalization(
  builder: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value,
  mean: Value,
  variance: Value,
  options: { readonly epsilon?: number; readonly momentum?: number; readonly name?: string } = {},
): Value {
  return builder.one(
    "BatchNormalization",
    [x, scale, bias, mean, variance],
    { epsilon: { float: options.epsilon ?? defaultEpsilon }, momentum: { float: options.momentum ?? 0.9 } },
    options.name === undefined ? {} : { name: options.name },
  );
}

/** The output of a batch normalization in training, and its statistics. */
export interface BatchNormTrainResult {
  readonly y: Value;
  readonly runningMean: Value;
  readonly runningVariance: Value;
}

/**
 * x normalised with the statistics of the batch, and the running statistics moved towards them.
 *
 * @param momentum The share of the old running statistics that is kept, as in ONNX (torch's momentum is 1 minus this).
 */
export function batchNormTrain(
  builder: GraphBuilder,
  inputs: {
    readonly x: Value;
    readonly scale: Value;
    readonly bias: Value;
    readonly mean: Value;
    readonly variance: Value;
  },
  options: { readonly epsilon: number; readonly momentum: number; readonly name?: string },
): BatchNormTrainResult {
  const [y, runningMean, runningVariance] = builder.node(
    "BatchNormTrain",
    [inputs.x, inputs.scale, inputs.bias, inputs.mean, inputs.variance],
    { epsilon: { float: options.epsilon }, momentum: { float: options.momentum } },
    { domain: subbyteDomain, ...defined({ name: options.name }) },
  );
  if (y === undefined || runningMean === undefined || runningVariance === undefined) {
    throw new GraphError("BatchNormTrain made no statistics", { where: `graph "${builder.name}"` });
  }
  return { y, runningMean, runningVariance };
}

function inferBatchNorm(call: OperatorCall): TensorType[] {
  const x = requiredInput(call, 0);
  const channels = x.shape[1];
  if (channels === undefined) throw typeError(call, "x needs a channel axis");
  for (let i = 1; i < 5; i++) {
    const type = requiredInput(call, i);
    if (type.shape.length !== 1 || type.shape[0] !== channels)
      throw typeError(call, `input ${i} must have ${channels} elements`);
  }
  return [x];
}

function inferBatchNormTrain(call: OperatorCall): TensorType[] {
  const [x] = inferBatchNorm(call);
  const channels = requiredInput(call, 1);
  return x === undefined ? [] : [x, channels, channels, channels, channels];
}

function otherAxes(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
}

function channelSum(builder: GraphBuilder, x: Value): Value {
  return reduceSum(builder, x, otherAxes(x.type.shape.length), { keepDimensions: false });
}

/** With given statistics: dx = dy·a, dscale = Σ dy·x̂, dbias = Σ dy, where a = scale/√(variance+ε) and x̂ = (x−mean)/√(variance+ε). */
const evaluationGradient: GradientRule = (context) => {
  const { builder, node, needed } = context;
  const dy = context.outputGradient(0);
  const x = context.input(0);
  const rank = x.type.shape.length;
  const inverse = inverseDeviation(builder, context.input(4), floatAttribute(node, "epsilon", defaultEpsilon));
  const dx = needed[0]
    ? multiply(builder, dy, perChannel(builder, multiply(builder, context.input(1), inverse), rank))
    : undefined;
  const dscale = needed[1]
    ? multiply(
        builder,
        channelSum(builder, multiply(builder, dy, subtract(builder, x, perChannel(builder, context.input(3), rank)))),
        inverse,
      )
    : undefined;
  return [dx, dscale, needed[2] ? channelSum(builder, dy) : undefined];
};

const trainingGradient: GradientRule = (context) => {
  const { builder, node } = context;
  const [dx, dscale, dbias] = builder.node(
    "BatchNormTrainGrad",
    [
      context.outputGradient(0),
      context.input(0),
      context.input(1),
      context.output(3),
      context.output(4),
      context.input(3),
    ],
    node.attributes,
    { domain: subbyteDomain },
  );
  return [dx, dscale, dbias];
};

/** Elements of each channel. */
function samplesOf(x: Value): number {
  return elementCount(x.type.shape) / (x.type.shape[1] ?? 1);
}

/**
 * Whether a channel has so few elements that exact passes cost nothing. There they count most: behind a global average the
 * deviation is often a small part of the distance from the running mean, and of two elements nearly all of the gradient
 * cancels.
 */
function hasFewSamples(x: Value): boolean {
  return samplesOf(x) <= 256;
}

/**
 * The engine's own operator is no help: in training mode it writes the running statistics into its inputs.
 *
 * Outputs: y, new running mean, new running variance, batch mean, 1/√(batch variance + ε).
 */
const lowerTrain: Lowering = (context) => {
  const { builder, node, target } = context;
  const x = context.input(0);
  const epsilon = floatAttribute(node, "epsilon", defaultEpsilon);
  const kept = floatAttribute(node, "momentum", 0.9);
  const { y, mean, variance } =
    target.name === "cpu" && !hasFewSamples(x)
      ? shiftedBatchNorm(context, epsilon)
      : primitiveBatchNorm(context, epsilon);
  const samples = samplesOf(x);
  const unbiased = multiply(builder, variance, samples > 1 ? samples / (samples - 1) : 1);
  const blend = (old: Value, batch: Value) =>
    add(builder, multiply(builder, old, kept), multiply(builder, batch, 1 - kept));
  const inverse = inverseDeviation(builder, variance, epsilon);
  return [y, blend(context.input(3), mean), blend(context.input(4), unbiased), mean, inverse];
};

function primitiveBatchNorm(context: LoweringContext, epsilon: number): BatchStatistics {
  const { builder } = context;
  const x = context.input(0);
  const rank = x.type.shape.length;
  const mean = reduceMean(builder, x, otherAxes(rank), { keepDimensions: false });
  const centred = subtract(builder, x, perChannel(builder, mean, rank));
  const variance = reduceMean(builder, multiply(builder, centred, centred), otherAxes(rank), { keepDimensions: false });
  const factor = multiply(builder, context.input(1), inverseDeviation(builder, variance, epsilon));
  const y = add(
    builder,
    multiply(builder, centred, perChannel(builder, factor, rank)),
    perChannel(builder, context.input(2), rank),
  );
  return { y, mean, variance };
}

/**
 * dx = (scale·inv)·(dy − Σdy/M − x̂·Σ(dy·x̂)/M), written as dy·a + (x − mean)·b + c with per-channel a, b, c, so that
 * it takes three passes over the tensor. Inputs: dy, x, scale, batch mean, inv = 1/√(batch variance + ε),
 * running mean.
 */
const lowerTrainGrad: Lowering = (context) => {
  const { builder } = context;
  const dy = context.input(0);
  const x = context.input(1);
  if (context.target.name === "cpu" && !hasFewSamples(x)) return shiftedBatchNormGrad(context);
  const inverse = context.input(4);
  const rank = x.type.shape.length;
  const samples = samplesOf(x);
  const centred = subtract(builder, x, perChannel(builder, context.input(3), rank));
  const dbias = channelSum(builder, dy);
  const dscale = multiply(builder, channelSum(builder, multiply(builder, dy, centred)), inverse);
  const a = multiply(builder, context.input(2), inverse);
  const b = multiply(builder, multiply(builder, multiply(builder, a, inverse), dscale), -1 / samples);
  const c = multiply(builder, multiply(builder, a, dbias), -1 / samples);
  const dx = add(
    builder,
    multiply(builder, dy, perChannel(builder, a, rank)),
    add(builder, multiply(builder, centred, perChannel(builder, b, rank)), perChannel(builder, c, rank)),
  );
  return [dx, dscale, dbias];
};

function inferBatchNormalization(call: OperatorCall): TensorType[] {
  const [x] = inferBatchNorm(call);
  if (x === undefined) return [];
  const channels = requiredInput(call, 1);
  return [x, channels, channels].slice(0, call.outputCount ?? 1);
}

/** Batch normalization with running statistics. */
export const batchNormalizationOperator: OperatorDefinition = {
  op: "BatchNormalization",
  upgrades: batchNormalizationUpgrades,
  blocked: "own",
  inputs: [...normalizationInputs, parameter("mean", "running-mean"), parameter("variance", "running-variance")],
  domain: onnxDomain,
  infer: inferBatchNormalization,
  gradient: evaluationGradient,
  traits: { module: true, comparable: true, work: "normalization" },
};

/** The operators of this file. */
export const normalizationOperators: readonly OperatorDefinition[] = [
  batchNormalizationOperator,
  {
    op: "BatchNormTrain",
    domain: subbyteDomain,
    infer: inferBatchNormTrain,
    gradient: trainingGradient,
    lower: lowerTrain,
    traits: { work: "normalization" },
  },
  {
    op: "BatchNormTrainGrad",
    domain: subbyteDomain,
    infer: (call) => [requiredInput(call, 1), requiredInput(call, 2), requiredInput(call, 2)],
    lower: lowerTrainGrad,
    traits: { work: "normalization" },
  },
];
