/**
 * A network: a graph whose parameters are inputs, with what each parameter is and its present value.
 *
 * Keeping parameters as inputs lets one graph serve training (they come in as state and go out updated), evaluation
 * and export (they become constants).
 */
import { GraphError } from "../errors.ts";
import type { Graph, Value } from "./graph.ts";
import type { Tensor } from "./tensor.ts";
import { elementCount, sameShape } from "./types.ts";

/** What a parameter is; optimizers and quantizers choose by it. */
export type ParameterRole =
  | "weight"
  | "bias"
  | "normalization-scale"
  | "normalization-bias"
  | "running-mean"
  | "running-variance"
  | "quantizer"
  | "observer"
  | "other";

export interface Parameter {
  /** Also the name of the graph's input; dots separate the parts, as in torch: `layer1.0.conv1.weight`. */
  readonly name: string;
  readonly role: ParameterRole;
  readonly trainable: boolean;
  readonly value: Tensor;
  /** A bound that every update keeps (a scale stays positive); absent: none. */
  readonly minimum?: number;
}

export interface Network {
  readonly name: string;
  /** Inputs: the data first, then one input for each parameter. Outputs: the network's outputs, `logits` by convention. */
  readonly graph: Graph;
  readonly parameters: readonly Parameter[];
}

/** The inputs that are data, not parameters. */
export function dataInputs(network: Network): readonly Value[] {
  const names = new Set(network.parameters.map((parameter) => parameter.name));
  return network.graph.inputs.filter((value) => !names.has(value.name));
}

/** The same network with other parameter values. @throws GraphError for a missing tensor or another shape. */
export function withParameterValues(network: Network, values: ReadonlyMap<string, Tensor>): Network {
  return {
    ...network,
    parameters: network.parameters.map((parameter) => {
      const value = values.get(parameter.name);
      if (value === undefined) {
        throw new GraphError(`no value for parameter "${parameter.name}"`, { where: `network "${network.name}"` });
      }
      if (!sameShape(value.shape, parameter.value.shape) || value.dtype !== parameter.value.dtype) {
        throw new GraphError(
          `parameter "${parameter.name}" is ${parameter.value.dtype}[${parameter.value.shape}], got ${value.dtype}[${value.shape}]`,
          { where: `network "${network.name}"` },
        );
      }
      return { ...parameter, value };
    }),
  };
}

/** Number of trainable scalars. */
export function parameterCount(network: Network): number {
  return network.parameters.filter((p) => p.trainable).reduce((sum, p) => sum + elementCount(p.value.shape), 0);
}
