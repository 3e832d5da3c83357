/**
 * Which elements of a tensor are looked at: every stride-th one of the flattened tensor. The stride shares no factor
 * with the number of elements, so that the sample walks through all channels and places instead of staying in a few.
 */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { reshape, slice } from "../../ops/families/shape/shape-ops.ts";
import { parameterShape, type QuantizerSpec } from "../../quantizers/definition.ts";

/** The elements start, start + stride, … of a flattened tensor. */
export interface SamplePlan {
  readonly elements: number;
  readonly stride: number;
  readonly count: number;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** A plan for at most `limit` elements of a tensor. */
export function planSample(elements: number, limit: number): SamplePlan {
  let stride = Math.max(1, Math.ceil(elements / limit));
  while (stride > 1 && greatestCommonDivisor(stride, elements) > 1) stride++;
  return { elements, stride, count: Math.ceil(elements / stride) };
}

/** The sample of a value, as a vector. */
export function addSample(builder: GraphBuilder, x: Value, plan: SamplePlan): Value {
  const flat = reshape(builder, x, [plan.elements]);
  if (plan.stride === 1) return flat;
  return slice(builder, flat, { axes: [0], starts: [0], ends: [plan.elements], steps: [plan.stride] });
}

/** The same elements of a tensor in memory. */
export function takeSample(data: ArrayLike<number>, plan: SamplePlan): Float32Array {
  return Float32Array.from({ length: plan.count }, (_, i) => data[i * plan.stride] ?? 0);
}

/** Returns the set of quantizer parameters that an element of the flattened tensor belongs to. */
export function groupOfElement(
  spec: Pick<QuantizerSpec, "channelAxis" | "groupSize">,
  shape: Shape,
): (index: number) => number {
  const { channelAxis, groupSize } = spec;
  if (groupSize !== undefined) return (index) => Math.floor(index / groupSize);
  if (channelAxis === undefined) return () => 0;
  const inner = elementCount(shape.slice(channelAxis + 1));
  const channels = shape[channelAxis] ?? 1;
  return (index) => Math.floor(index / inner) % channels;
}

/** The elements of a sample that share parameters: their places in the sample, group by group. */
export function sampleGroups(spec: QuantizerSpec, shape: Shape, plan: SamplePlan): readonly Int32Array[] {
  const groups = elementCount(parameterShape(spec, { dtype: "float32", shape }));
  const groupOf = groupOfElement(spec, shape);
  const places = Array.from({ length: groups }, (): number[] => []);
  for (let i = 0; i < plan.count; i++) places[groupOf(i * plan.stride)]?.push(i);
  return places.map((list) => Int32Array.from(list));
}
