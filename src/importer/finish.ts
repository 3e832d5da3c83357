/** The final pass over an imported network: recognized operators, roles by the consumers of a parameter, frozen parameters. */

import type { Graph, Value } from "../ir/graph.ts";
import type { Network, Parameter, ParameterRole } from "../ir/network.ts";
import { isTrainedRole, operatorRole } from "./parameters.ts";
import { recognise } from "./rewrite/recognize.ts";
import { findObstacles, frozenParameters } from "./trainability.ts";

/** An imported graph with its parameters, and the parameters that stay frozen. */
export interface Finished {
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
  /** Why parameters that look trainable are not. */
  readonly held: ReadonlyMap<string, string>;
}

/** Recognizes patterns, drops unused parameters and freezes those that no gradient reaches. */
export function finishNetwork(network: Network): Finished {
  const { graph: recognised, parameters: all } = withRecognisedParameters(network);
  const read = new Set(recognised.nodes.flatMap((node) => node.inputs));
  for (const { value } of recognised.outputs) read.add(value);
  const known = new Set(all.map(({ name }) => name));
  const graph = {
    ...recognised,
    inputs: recognised.inputs.filter((input) => !known.has(input.name) || read.has(input)),
  };
  const kept = new Set(graph.inputs.map(({ name }) => name));
  const roles = rolesIn(graph);
  const parameters = all
    .filter(({ name }) => kept.has(name))
    .map((parameter) => {
      const role = roles.get(parameter.name) ?? parameter.role;
      return { ...parameter, role, trainable: parameter.trainable && isTrainedRole(role) };
    });
  const held = frozenParameters(graph, findObstacles(graph, parameters));
  return {
    graph,
    parameters: parameters.map((parameter) =>
      parameter.trainable && held.has(parameter.name) ? { ...parameter, trainable: false } : parameter,
    ),
    held: new Map([...held].filter(([name]) => known.has(name))),
  };
}

/**
 * The graph with its patterns recognized. Scale and offset of a normalization that stands before every layer look like the
 * normalization of the data while it is arithmetic; the operator that stands in its place says that they are trained.
 */
function withRecognisedParameters({ graph, parameters }: Network): Pick<Finished, "graph" | "parameters"> {
  const recognised = recognise(graph);
  const made = recognised.nodes.length === graph.nodes.length ? [] : recognised.nodes;
  const before = new Set(graph.nodes.map(({ name, op }) => `${op} ${name}`));
  const taken = new Set(
    [...graph.inputs, ...recognised.nodes.flatMap(({ outputs }) => outputs)].map(({ name }) => name),
  );
  const stored = new Map([...graph.constants].map(([value, tensor]) => [value.name, tensor]));
  const found = new Map<Value, Parameter>();
  for (const node of made) {
    if (before.has(`${node.op} ${node.name}`)) continue;
    node.inputs.forEach((input, index) => {
      const role = operatorRole(node, index);
      const value = input === undefined ? undefined : recognised.constants.get(input);
      if (input === undefined || role === undefined || value === undefined || !isTrainedRole(role)) return;
      if (stored.get(input.name) !== value || value.data.length < 2 || taken.has(input.name)) return;
      taken.add(input.name);
      found.set(input, { name: input.name, role, trainable: true, value });
    });
  }
  if (found.size === 0) return { graph: recognised, parameters };
  const constants = new Map([...recognised.constants].filter(([value]) => !found.has(value)));
  const inputs = [...recognised.inputs, ...found.keys()];
  return { graph: { ...recognised, inputs, constants }, parameters: [...parameters, ...found.values()] };
}

/** The roles that operators give to the inputs that they read. */
function rolesIn(graph: Graph): Map<string, ParameterRole> {
  const roles = new Map<string, ParameterRole>();
  for (const node of graph.nodes) {
    node.inputs.forEach((value, index) => {
      const role = operatorRole(node, index);
      if (value !== undefined && role !== undefined && !roles.has(value.name)) roles.set(value.name, role);
    });
  }
  return roles;
}
