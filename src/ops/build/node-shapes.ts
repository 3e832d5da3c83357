/** The shapes of a node whose types were inferred. */
import { GraphError } from "../../errors.ts";
import { type Node, showNode } from "../../ir/graph.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { at } from "./operands.ts";

/** Returns the shape of an input. @throws GraphError when it was left out. */
export function shapeOfInput(node: Node, index: number): Shape {
  const value = node.inputs[index];
  if (value === undefined) throw new GraphError(`input ${index} is missing`, { where: showNode(node) });
  return value.type.shape;
}

/** Returns the number of elements of an input. @throws GraphError when it was left out. */
export function elementsOfInput(node: Node, index: number): number {
  return elementCount(shapeOfInput(node, index));
}

/** Returns the number of elements of the first output. */
export function elementsOfOutput(node: Node): number {
  return elementCount(at(node.outputs, 0).type.shape);
}
