/**
 * Finds the tensors of a file that are parameters, and their kind.
 *
 * ONNX does not say: weights, tables of constants and the shapes of reshapes are all tensors. The definition of the operator
 * that reads a tensor decides, with how it is used.
 */

import { isMask } from "../compile/attention-masks.ts";
import { operators } from "../compile/registry.ts";
import type { Node } from "../ir/graph.ts";
import type { ParameterRole } from "../ir/network.ts";
import type { Tensor } from "../ir/tensor.ts";
import { elementCount } from "../ir/types.ts";
import { findDefinition } from "../ops/definition.ts";
import { inputAt, type OperatorInput } from "../ops/inputs.ts";
import { isNamedByAuthor } from "./patterns/stored-names.ts";

/** A number of this size is a mask (minus infinity) and not a weight. */
const largestWeight = 1e6;

/** A use of a tensor by a node. */
export interface Use {
  readonly node: OperatorName;
  readonly index: number;
  readonly tensor: Tensor;
  /** Its name in the file. */
  readonly name: string;
  /** Whether its elements come from the file. */
  readonly stored: boolean;
  /** Whether another input of the node depends on a parameter. */
  readonly afterParameter: boolean;
}

type OperatorName = Pick<Node, "op" | "domain">;

function inputOf(node: OperatorName, index: number): OperatorInput | undefined {
  return inputAt(findDefinition(operators, node)?.inputs ?? [], index);
}

/** The role that an operator gives to one of its inputs, whatever tensor stands there. */
export function operatorRole(node: OperatorName, index: number): ParameterRole | undefined {
  return inputOf(node, index)?.role;
}

/** Whether an operator may have a parameter as one of its inputs. */
export function canBeParameter(node: OperatorName, index: number): boolean {
  const input = inputOf(node, index);
  return input?.role !== undefined || input?.roleIn !== undefined;
}

/** The role of a tensor, or undefined for a constant. */
export function roleOf({ node, index, tensor, name, stored, afterParameter }: Use): ParameterRole | undefined {
  if (!stored || tensor.dtype !== "float32") return undefined;
  const { role, roleIn } = inputOf(node, index) ?? {};
  if (role !== undefined) return role;
  if (roleIn === undefined || elementCount(tensor.shape) < 2) return undefined;
  const use = {
    type: tensor,
    afterParameter,
    // Asked for by few operators, and a table is large.
    get looksLearned() {
      return looksLearned(tensor, name);
    },
  };
  return roleIn(use);
}

/** Whether the elements are finite, of moderate size, no mask, and not all the same; a name of the author's own excuses the last. */
function looksLearned({ data }: Tensor, name: string): boolean {
  if (!(data instanceof Float32Array)) return false;
  const first = data[0];
  const isModerate = data.every((value) => Math.abs(value) < largestWeight);
  return isModerate && !isMask(data) && (isNamedByAuthor(name) || data.some((value) => value !== first));
}

/** Whether training changes parameters of a role by their gradient. */
export function isTrainedRole(role: ParameterRole): boolean {
  return role !== "running-mean" && role !== "running-variance" && role !== "observer";
}

/** Parameters that belong to one node each, even where the exporter stored equal ones once. */
export function isOwnRole(role: ParameterRole): boolean {
  return role === "bias" || role.startsWith("running-") || role.startsWith("normalization-");
}
