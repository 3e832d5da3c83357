/**
 * The roles of an operator's inputs: data, or a parameter of a role.
 *
 * ONNX does not say which of a file's tensors are parameters. What reads a tensor decides: the weight of a convolution is
 * trained, the bound of a Clip is not.
 */

import type { ParameterRole } from "../ir/network.ts";
import { elementCount, type TensorType } from "../ir/types.ts";

/** One use of a stored float tensor of two elements or more, which may be a parameter. */
export interface InputUse {
  readonly type: TensorType;
  /** Whether its elements look learned: finite, of moderate size, and not all the same. */
  readonly looksLearned: boolean;
  /** Whether another input of the node depends on a parameter: scales and offsets before the first layer normalize data. */
  readonly afterParameter: boolean;
}

/** One input of an operator: its name, and its role where a tensor is stored for it. */
export interface OperatorInput {
  readonly name: string;
  /** The role of whatever float tensor is stored for it. Absent: data. */
  readonly role?: ParameterRole;
  /** The role by the use, where the operator alone does not decide; undefined: a constant. */
  readonly roleIn?: (use: InputUse) => ParameterRole | undefined;
  /** Stands for any number of inputs; only the last may. */
  readonly repeated?: boolean;
}

/** An input that is computed or constant. */
export function data(name: string): OperatorInput {
  return { name };
}

/** An input that is a parameter of a role wherever a float tensor is stored for it. */
export function parameter(name: string, role: ParameterRole): OperatorInput {
  return { name, role };
}

/** The weight of a layer. */
export const weight = (name: string): OperatorInput => parameter(name, "weight");
/** The vector that a layer adds to each channel. */
export const bias = (name: string): OperatorInput => parameter(name, "bias");
/** The scale and the offset of a normalization. */
export const normalizationInputs: readonly OperatorInput[] = [
  data("x"),
  parameter("scale", "normalization-scale"),
  parameter("bias", "normalization-bias"),
];

/** Any number of inputs, each of which may hold learned elements: a token that is put before a sequence of others. */
export const tokens = (name: string): OperatorInput => ({ ...token(name), repeated: true });

/** An input that may hold learned elements, which are no layer's. */
export function token(name: string): OperatorInput {
  return { name, roleIn: ({ looksLearned }) => (looksLearned ? "other" : undefined) };
}

/** A table of rows that are picked by number: an embedding. */
export function embeddingTable(name: string): OperatorInput {
  return { name, roleIn: ({ type }) => (type.shape.length > 1 ? "weight" : undefined) };
}

/** An operand of arithmetic, which has a role where it is a vector that looks learned and meets what a parameter made. */
export function operand(name: string, vectorRole: "bias" | "normalization-scale"): OperatorInput {
  return {
    name,
    roleIn: ({ type: { shape }, looksLearned, afterParameter }) => {
      if (!looksLearned || !afterParameter) return undefined;
      const isVector = Math.max(...shape) === elementCount(shape);
      return isVector ? vectorRole : "other";
    },
  };
}

/** The input at an index, or undefined where the operator states none. */
export function inputAt(inputs: readonly OperatorInput[], index: number): OperatorInput | undefined {
  const last = inputs.at(-1);
  return inputs[index] ?? (last?.repeated === true ? last : undefined);
}
