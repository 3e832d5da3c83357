/** The type of the conversion's rules, and the helpers that all rules share. */
import { GraphError, UnsupportedError } from "../../errors.ts";
import { type Node, showNode } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import type { Assembly } from "../assembly.ts";
import type { Constant, Symbolic } from "../symbolic.ts";

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

/** The shape of the node's first output. */
export function nodeShape(node: Node): Shape {
  return node.outputs[0]?.type.shape ?? [];
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

/** A constant that broadcasts over all but axis 1 of a shape, as one number for each channel; undefined otherwise. */
export function channelNumbers(constant: Constant, shape: Shape): Float64Array | undefined {
  const channels = shape[1] ?? 1;
  const numbers = toNumbers(constant.tensor);
  if (numbers.length === 1) return new Float64Array(channels).fill(numbers[0] ?? 0);
  const padded = [...shape.map(() => 1), ...constant.shape].slice(-shape.length);
  const fits = padded.length === shape.length && padded.every((size, axis) => size === (axis === 1 ? channels : 1));
  return fits ? Float64Array.from(numbers) : undefined;
}

/** Why a convolution or pooling over one or three axes is refused. */
export function onlyTwoAxes(count: number): string {
  return `it runs over ${count} ${count === 1 ? "axis" : "axes"}; only over two it has an integer form`;
}
