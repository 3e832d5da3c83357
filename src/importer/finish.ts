/** The final pass over an imported network: recognized operators, roles by the consumers of a parameter, frozen parameters. */

import type { Graph } from "../ir/graph.ts";
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
  const recognised = recognise(network.graph);
  const read = new Set(recognised.nodes.flatMap((node) => node.inputs));
  for (const { value } of recognised.outputs) read.add(value);
  const known = new Set(network.parameters.map(({ name }) => name));
  const graph = {
    ...recognised,
    inputs: recognised.inputs.filter((input) => !known.has(input.name) || read.has(input)),
  };
  const kept = new Set(graph.inputs.map(({ name }) => name));
  const roles = rolesIn(graph);
  const parameters = network.parameters
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
