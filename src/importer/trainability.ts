/**
 * Finds the trainable parameters of a network: an operator without a gradient freezes everything before it.
 *
 * Some rules refuse only certain attributes, so each node is tried: it is differentiated on its own.
 */

import { defined } from "../base/defined.ts";
import { differentiate } from "../compile/passes/differentiate.ts";
import { newBuilder, operators } from "../compile/registry.ts";
import { UnsupportedError } from "../errors.ts";
import type { Graph, Node, Value } from "../ir/graph.ts";
import type { Network, Parameter } from "../ir/network.ts";
import type { Tensor } from "../ir/tensor.ts";
import { elementCount, showType } from "../ir/types.ts";
import { reduceSum } from "../ops/families/reduce.ts";
import { isTrainedRole } from "./parameters.ts";

/** A node whose gradient nobody knows, and why. */
export interface Obstacle {
  readonly node: Node;
  readonly reason: string;
  readonly remedy?: string;
}

/** Larger tensors are not tried: a gradient may make constants as large. */
const triedElements = 1 << 26;

/** The nodes that have no gradient, among those that depend on a trainable parameter. */
export function findObstacles(graph: Graph, parameters: readonly Parameter[]): Obstacle[] {
  const trained = new Set(parameters.filter(({ trainable }) => trainable).map(({ name }) => name));
  const carries = new Set<Value>(graph.inputs.filter(({ name }) => trained.has(name)));
  const known = new Map<string, UnsupportedError | undefined>();
  const obstacles: Obstacle[] = [];
  for (const node of graph.nodes) {
    if (!node.inputs.some((value) => value !== undefined && carries.has(value))) continue;
    const needed = node.inputs.map((value) => value !== undefined && carries.has(value));
    const key = keyOf(node, needed, graph.constants);
    if (!known.has(key)) known.set(key, tryGradient(node, needed, graph.constants));
    const error = known.get(key);
    if (error !== undefined) obstacles.push({ node, reason: error.message, ...defined({ remedy: error.remedy }) });
    for (const output of node.outputs) if (output.type.dtype === "float32") carries.add(output);
  }
  return obstacles;
}

/**
 * The nodes without a gradient that stand between parameters and an output of a network: what training would leave as it is.
 *
 * @example
 * console.log(gradientObstacles(network).map(({ node, reason }) => `${node.name}: ${reason}`));
 */
export function gradientObstacles({ graph, parameters }: Network): Obstacle[] {
  const trained = parameters.map((parameter) => ({ ...parameter, trainable: isFloatParameter(parameter) }));
  const used = new Set(graph.outputs.map(({ value }) => value));
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((value) => used.has(value))) continue;
    for (const input of node.inputs) if (input !== undefined) used.add(input);
  }
  return findObstacles(graph, trained).filter(({ node }) => node.outputs.some((value) => used.has(value)));
}

/** Whether the gradient of the loss would train a parameter: not the ranges of quantizers, nor running statistics. */
export function isFloatParameter({ role }: Pick<Parameter, "role">): boolean {
  return role !== "quantizer" && isTrainedRole(role);
}

/** The parameters before an obstacle, each with the reason why it cannot be trained. */
export function frozenParameters(graph: Graph, obstacles: readonly Obstacle[]): Map<string, string> {
  const reasons = new Map<Value, string>();
  const at = new Map(obstacles.map(({ node, reason }) => [node, reason]));
  for (const node of graph.nodes.toReversed()) {
    const own = at.get(node);
    const later = node.outputs.map((value) => reasons.get(value)).find((reason) => reason !== undefined);
    const reason = own === undefined ? later : `${node.op} "${node.name}": ${own}`;
    if (reason === undefined) continue;
    for (const input of node.inputs) if (input !== undefined && !reasons.has(input)) reasons.set(input, reason);
  }
  return new Map(
    graph.inputs.flatMap((input) => {
      const reason = reasons.get(input);
      return reason === undefined ? [] : [[input.name, reason] as const];
    }),
  );
}

function keyOf(node: Node, needed: readonly boolean[], constants: ReadonlyMap<Value, Tensor>): string {
  const inputs = node.inputs.map((value, i) => {
    if (value === undefined) return "-";
    return `${showType(value.type)}${constants.has(value) || value.known !== undefined ? `#${value.id}` : ""}${needed[i] === true ? "*" : ""}`;
  });
  return `${node.domain}:${node.op}(${inputs.join()})${node.outputs.length}${JSON.stringify(node.attributes)}`;
}

function tryGradient(
  node: Node,
  needed: readonly boolean[],
  constants: ReadonlyMap<Value, Tensor>,
): UnsupportedError | undefined {
  const types = [...node.inputs, ...node.outputs].flatMap((value) => (value === undefined ? [] : [value.type]));
  if (types.some(({ shape }) => elementCount(shape) > triedElements)) return undefined;
  const builder = newBuilder("trial");
  const inputs = node.inputs.map((value, i) => {
    if (value === undefined) return undefined;
    const tensor = constants.get(value) ?? value.known;
    return tensor === undefined ? builder.input(`x${i}`, value.type) : builder.constant(tensor, value.name);
  });
  const outputs = builder.node(node.op, inputs, node.attributes, {
    domain: node.domain,
    outputCount: node.outputs.length,
    name: node.name,
  });
  const [y] = outputs;
  const wanted = inputs.flatMap((value, i) => (value !== undefined && needed[i] === true ? [value] : []));
  if (y === undefined || y.type.dtype !== "float32") return undefined;
  try {
    const loss = reduceSum(builder, y, undefined, { keepDimensions: false });
    differentiate(builder, operators, builder.nodes, loss, wanted);
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error;
    throw error;
  }
}
