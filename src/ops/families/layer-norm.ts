/**
 * SampleNormalization within a sample: LayerNormalization, InstanceNormalization, GroupNormalization.
 *
 * All three are x̂ = (x − mean)/√(variance + ε) over some axes, then a scale and an offset. With g = dy·scale the gradient
 * is dx = (g − mean(g) − x̂·mean(g·x̂))/√(variance + ε), means over the same axes.
 */

import { floatAttribute, intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Node, OperatorCall, Value } from "../../ir/graph.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import { sumTo } from "../build/broadcast.ts";
import { shapeOfInput } from "../build/node-shapes.ts";
import { axisOf, countFromFront, indices } from "../build/operands.ts";
import {
  type GradientContext,
  type OperatorDefinition,
  requiredInput,
  type SampleNormalization,
  typeError,
} from "../definition.ts";
import { normalizationInputs } from "../inputs.ts";
import { groupNormalizationUpgrades } from "../rewrite/upgrades.ts";
import { add, multiply, reciprocal, squareRoot, subtract } from "./elementwise.ts";
import { reduceMean } from "./reduce.ts";
import { reshape } from "./shape/shape-ops.ts";

const defaultEpsilon = 1e-5;

/** x normalised over the axes from `axis` on; scale and bias have their shape. */
export function layerNormalization(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  bias: Value | undefined,
  options: { readonly axis?: number; readonly epsilon?: number } = {},
): Value {
  const { axis = -1, epsilon = defaultEpsilon } = options;
  return b.one("LayerNormalization", bias === undefined ? [x, scale] : [x, scale, bias], {
    axis,
    epsilon: { float: epsilon },
  });
}

interface Normalized {
  readonly normal: Value;
  readonly inverse: Value;
}

/** x̂ and 1/√(variance + ε), the latter with the axes kept. */
function normalize(b: GraphBuilder, x: Value, axes: readonly number[], epsilon: number): Normalized {
  const centred = subtract(b, x, reduceMean(b, x, axes));
  const variance = reduceMean(b, multiply(b, centred, centred), axes);
  const inverse = reciprocal(b, squareRoot(b, add(b, variance, epsilon)));
  return { normal: multiply(b, centred, inverse), inverse };
}

/** dx from g, the gradient of x̂. */
function normalizeGradient(b: GraphBuilder, g: Value, { normal, inverse }: Normalized, axes: readonly number[]): Value {
  const along = multiply(b, normal, reduceMean(b, multiply(b, g, normal), axes));
  return multiply(b, subtract(b, subtract(b, g, reduceMean(b, g, axes)), along), inverse);
}

function layerType(call: OperatorCall): readonly TensorType[] {
  const x = requiredInput(call, 0);
  const axis = axisOf(call, intAttribute(call, "axis", -1), x.shape.length);
  for (const type of call.inputs.slice(1)) {
    const fits = type === undefined || type.shape.length <= x.shape.length;
    if (!fits) throw typeError(call, "scale and bias do not broadcast to x");
  }
  requiredInput(call, 1);
  const statistics: TensorType = { dtype: "float32", shape: x.shape.map((size, i) => (i < axis ? size : 1)) };
  return [x, statistics, statistics].slice(0, call.outputCount ?? 1);
}

function layerGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { builder: b, node, needed } = context;
  const [x, scale, dy] = [context.input(0), context.input(1), context.outputGradient(0)];
  const rank = x.type.shape.length;
  const first = countFromFront(intAttribute(node, "axis", -1), rank);
  const axes = indices(rank).filter((axis) => axis >= first);
  const parts = normalize(b, x, axes, floatAttribute(node, "epsilon", defaultEpsilon));
  return [
    needed[0] ? normalizeGradient(b, multiply(b, dy, scale), parts, axes) : undefined,
    needed[1] ? sumTo(b, multiply(b, dy, parts.normal), scale.type.shape) : undefined,
    needed[2] ? sumTo(b, dy, context.input(2).type.shape) : undefined,
  ];
}

function channelsType(call: OperatorCall): readonly TensorType[] {
  const x = requiredInput(call, 0);
  for (const index of [1, 2]) {
    const { shape } = requiredInput(call, index);
    if (shape.length !== 1 || shape[0] !== x.shape[1]) {
      throw typeError(call, `input ${index} should have one element for each channel`);
    }
  }
  return [x];
}

function groupType(call: OperatorCall): readonly TensorType[] {
  const [x] = channelsType(call);
  const groups = intAttribute(call, "num_groups");
  const channels = x?.shape[1] ?? 0;
  if (x === undefined || groups < 1 || channels % groups !== 0) {
    throw typeError(call, `${channels} channels do not divide into ${groups} groups`);
  }
  return [x];
}

/** [C] so that it broadcasts over x[N,C,...]. */
function overChannels(b: GraphBuilder, vector: Value, rank: number): Value {
  return reshape(b, vector, [vector.type.shape[0] ?? 0, ...new Array<number>(rank - 2).fill(1)]);
}

/** x[N,C,...] as [N,G,rest], the last axis being what is normalised. */
function inGroups(b: GraphBuilder, x: Value, groups: number): Value {
  const [batch = 1, channels = 1, ...spatial] = x.type.shape;
  const rest = (channels / groups) * spatial.reduce((product, size) => product * size, 1);
  return reshape(b, x, [batch, groups, rest]);
}

/** Both operators with per-channel parameters, by their number of groups. */
function groupGradient(groupsOf: (context: GradientContext) => number) {
  return (context: GradientContext): readonly (Value | undefined)[] => {
    const { builder: b, node, needed } = context;
    const [x, scale, dy] = [context.input(0), context.input(1), context.outputGradient(0)];
    const { shape } = x.type;
    const groups = groupsOf(context);
    const parts = normalize(b, inGroups(b, x, groups), [2], floatAttribute(node, "epsilon", defaultEpsilon));
    const g = inGroups(b, multiply(b, dy, overChannels(b, scale, shape.length)), groups);
    const channel = [shape[1] ?? 1, ...new Array<number>(shape.length - 2).fill(1)];
    const perChannel = (value: Value) => reshape(b, sumTo(b, value, channel), [shape[1] ?? 1]);
    return [
      needed[0] ? reshape(b, normalizeGradient(b, g, parts, [2]), shape) : undefined,
      needed[1] ? perChannel(multiply(b, dy, reshape(b, parts.normal, shape))) : undefined,
      needed[2] ? perChannel(dy) : undefined,
    ];
  };
}

function layers(node: Node): SampleNormalization {
  const shape = shapeOfInput(node, 0);
  const first = countFromFront(intAttribute(node, "axis", -1), shape.length);
  const epsilon = floatAttribute(node, "epsilon", defaultEpsilon);
  return { size: elementCount(shape.slice(first)), isCentred: true, axis: shape.length - 1, epsilon };
}

/** Channels that follow one another, with all that is in them. */
function channelGroups(groupsOf: (node: Node, channels: number) => number) {
  return (node: Node): SampleNormalization => {
    const [, channels = 1, ...spatial] = shapeOfInput(node, 0);
    const size = (channels / groupsOf(node, channels)) * elementCount(spatial);
    return { size, isCentred: true, axis: 1, epsilon: floatAttribute(node, "epsilon", defaultEpsilon) };
  };
}

/** The operators of this file. */
export const layerNormOperators: readonly OperatorDefinition[] = [
  {
    op: "LayerNormalization",
    domain: "",
    inputs: normalizationInputs,
    infer: layerType,
    gradient: layerGradient,
    traits: { work: "normalization", readsCodes: true, normalizes: layers },
  },
  {
    op: "InstanceNormalization",
    domain: "",
    inputs: normalizationInputs,
    infer: channelsType,
    gradient: groupGradient(({ input }) => input(0).type.shape[1] ?? 1),
    traits: { work: "normalization", readsCodes: true, normalizes: channelGroups((_, channels) => channels) },
  },
  {
    op: "GroupNormalization",
    domain: "",
    upgrades: groupNormalizationUpgrades,
    inputs: normalizationInputs,
    infer: groupType,
    gradient: groupGradient(({ node }) => intAttribute(node, "num_groups")),
    traits: {
      work: "normalization",
      readsCodes: true,
      normalizes: channelGroups((node) => intAttribute(node, "num_groups")),
    },
    // The engine knows it only as a function of a newer version, so it becomes arithmetic.
    lower({ builder: b, node, input }) {
      const x = input(0);
      const { shape } = x.type;
      const epsilon = floatAttribute(node, "epsilon", defaultEpsilon);
      const { normal } = normalize(b, inGroups(b, x, intAttribute(node, "num_groups")), [2], epsilon);
      const scaled = multiply(b, reshape(b, normal, shape), overChannels(b, input(1), shape.length));
      return [add(b, scaled, overChannels(b, input(2), shape.length))];
    },
  },
];
