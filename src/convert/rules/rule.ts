/** The type of the conversion's rules, and the helpers that all rules share. */
import { GraphError, UnsupportedError } from "../../errors.ts";
import { type Node, showNode } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import type { Assembly } from "../assembly/assembly.ts";
import { axisSampleFirst, sampleFirst } from "../assembly/sample-shape.ts";
import type { Constant, Symbolic } from "../assembly/symbolic.ts";

/** The arguments of a rule. */
export interface RuleContext {
  readonly assembly: Assembly;
  readonly node: Node;
  readonly inputs: readonly (Symbolic | undefined)[];
}

/** From symbolic inputs to a symbolic output. */
export type IntegerRule = (context: RuleContext) => Symbolic;

/** Returns a required input. @throws GraphError when it is missing. */
export function symbolicInput({ node, inputs }: RuleContext, index: number): Symbolic {
  const value = inputs[index];
  if (value === undefined) throw new GraphError(`input ${index} is missing`, { where: showNode(node) });
  return value;
}

/** The shape of the node's first output, the sample first. */
export function nodeShape(node: Node): Shape {
  return sampleFirst(node.outputs[0]?.type.shape ?? []);
}

/** Makes an UnsupportedError that names the node. */
export function unsupported(node: Node, message: string, remedy?: string): UnsupportedError {
  return new UnsupportedError(message, {
    where: showNode(node),
    remedy: remedy ?? "It would stay in float. docs/integer.md lists what can be converted.",
  });
}

/** The numbers of a parameter or constant. @throws UnsupportedError when the input is computed. */
export function constantNumbers(context: RuleContext, index: number): number[] {
  const value = symbolicInput(context, index);
  if (value.kind !== "constant") throw unsupported(context.node, `its input ${index} is computed`);
  return toNumbers(value.tensor);
}

/** The numbers of a constant that repeats along all axes of a node's output but one, or along all. */
export interface ChannelNumbers {
  /** Absent where it is one number. */
  readonly axis?: number;
  readonly values: Float64Array;
}

/** A constant as one number, or as one for each channel of an axis of the node's output; undefined where it varies along several. */
export function channelNumbers(constant: Constant, node: Node): ChannelNumbers | undefined {
  const shape = node.outputs[0]?.type.shape ?? [];
  const values = Float64Array.from(toNumbers(constant.tensor));
  if (values.length === 1) return { values };
  const padded = [...shape.map(() => 1), ...constant.shape].slice(-shape.length);
  const axes = padded.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const [axis] = axes;
  const isOne = axis !== undefined && axes.length === 1 && values.length === shape[axis];
  return isOne ? { axis: axisSampleFirst(shape, axis), values } : undefined;
}

/** Why an interpolation over more axes is refused. */
export function onlyTwoAxes(count: number): string {
  return `it runs over ${count} axes; only over one or two it has an integer form`;
}

/** Why a convolution or pooling over more axes is refused. */
export function onlyThreeAxes(count: number): string {
  return `it runs over ${count} axes; only over one to three it has an integer form`;
}
