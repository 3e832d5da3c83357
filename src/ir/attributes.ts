/** Reads the attributes of a node by name, each of the kind that its operator asks for. */
import { GraphError } from "../errors.ts";
import { type Attribute, type Attributes, showNode } from "./graph.ts";
import type { QuantizerSpec } from "./quantizer-spec.ts";

/** Anything that has attributes, and the names that errors need. */
export interface AttributeSource {
  readonly op: string;
  readonly name: string;
  readonly attributes: Attributes;
}

/** Reads an integer attribute. @throws GraphError when it is absent without a fallback, or of another kind. */
export function intAttribute(call: AttributeSource, name: string, fallback?: number): number {
  const value = call.attributes[name];
  if (typeof value === "number") return value;
  if (value === undefined && fallback !== undefined) return fallback;
  throw new GraphError(`attribute ${name} should be an integer`, { where: showNode(call) });
}

/** Reads a float attribute. @throws GraphError when it is absent without a fallback, or of another kind. */
export function floatAttribute(call: AttributeSource, name: string, fallback?: number): number {
  const value = call.attributes[name];
  if (typeof value === "object" && "float" in value) return value.float;
  if (value === undefined && fallback !== undefined) return fallback;
  throw new GraphError(`attribute ${name} should be a float`, { where: showNode(call) });
}

/** Reads a list of integers. @throws GraphError when it is absent without a fallback, or of another kind. */
export function intsAttribute(call: AttributeSource, name: string, fallback?: readonly number[]): readonly number[] {
  const value = call.attributes[name];
  if (isIntegerList(value)) return value;
  if (value === undefined && fallback !== undefined) return fallback;
  throw new GraphError(`attribute ${name} should be a list of integers`, { where: showNode(call) });
}

/** Reads a string attribute. @throws GraphError when it is absent without a fallback, or of another kind. */
export function stringAttribute(call: AttributeSource, name: string, fallback?: string): string {
  const value = call.attributes[name];
  if (typeof value === "string") return value;
  if (value === undefined && fallback !== undefined) return fallback;
  throw new GraphError(`attribute ${name} should be a string`, { where: showNode(call) });
}

/** Reads a quantizer's spec. @throws GraphError when it is absent or of another kind. */
export function specAttribute(call: AttributeSource, name: string): QuantizerSpec {
  const value = call.attributes[name];
  if (typeof value === "object" && "spec" in value) return value.spec;
  throw new GraphError(`attribute ${name} should be the spec of a quantizer`, { where: showNode(call) });
}

function isIntegerList(value: Attribute | undefined): value is readonly number[] {
  return Array.isArray(value);
}
