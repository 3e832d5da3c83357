/**
 * Which tensors of a file are parameters, and of what kind.
 *
 * ONNX does not say: weights, tables of constants and the shapes of reshapes are all tensors. What reads a tensor decides:
 * the weight of a convolution is trained, the bound of a Clip is not.
 */

import type { ParameterRole } from "../ir/network.ts";
import type { Tensor } from "../ir/tensor.ts";
import { elementCount } from "../ir/types.ts";

type Roles = Readonly<Record<number, ParameterRole>>;

const layer: Roles = { 1: "weight", 2: "bias" };
const product: Roles = { 0: "weight", 1: "weight", 2: "bias" };
const normalization: Roles = { 1: "normalization-scale", 2: "normalization-bias" };
const recurrent: Roles = { 1: "weight", 2: "weight", 3: "bias", 7: "weight" };

/** Inputs of operators that are parameters wherever a float tensor is stored for them. */
const rolesByOperator: ReadonlyMap<string, Roles> = new Map([
  ["Conv", layer],
  ["ConvTranspose", layer],
  ["Gemm", product],
  ["MatMul", product],
  ["Einsum", product],
  [
    "BatchNormalization",
    { 1: "normalization-scale", 2: "normalization-bias", 3: "running-mean", 4: "running-variance" },
  ],
  ["LayerNormalization", normalization],
  ["GroupNormalization", normalization],
  ["InstanceNormalization", normalization],
  ["PRelu", { 1: "other" }],
  ["LSTM", recurrent],
  ["GRU", recurrent],
  ["RNN", recurrent],
]);

/** A number of this size is a mask (minus infinity) and not a weight. */
const largestWeight = 1e6;

/** What is asked about a tensor that a node reads. */
export interface Use {
  readonly op: string;
  readonly index: number;
  readonly tensor: Tensor;
  /** Its name in the file. */
  readonly name: string;
  /** Whether its elements come from the file. */
  readonly stored: boolean;
  /** Whether another input of the node depends on a parameter: scales and offsets before the first layer normalise data. */
  readonly afterParameter: boolean;
}

/** The role that an operator gives to one of its inputs, whatever tensor stands there. */
export function operatorRole(op: string, index: number): ParameterRole | undefined {
  return rolesByOperator.get(op)?.[index];
}

/** The role of a tensor, or undefined for a constant. */
export function roleOf({ op, index, tensor, name, stored, afterParameter }: Use): ParameterRole | undefined {
  if (!stored || tensor.dtype !== "float32") return undefined;
  const role = rolesByOperator.get(op)?.[index];
  if (role !== undefined) return role;
  if (elementCount(tensor.shape) < 2) return undefined;
  if (op === "Gather" && index === 0) return tensor.shape.length > 1 ? "weight" : undefined;
  if (!looksLearned(tensor, name)) return undefined;
  if (op === "Add" || op === "Mul") return afterParameter ? elementwiseRole(op, tensor) : undefined;
  // A token that is put before a sequence of others.
  return op === "Concat" || ((op === "Expand" || op === "ExpandBatch") && index === 0) ? "other" : undefined;
}

function elementwiseRole(op: "Add" | "Mul", { shape }: Tensor): ParameterRole {
  const isVector = Math.max(...shape) === elementCount(shape);
  if (!isVector) return "other";
  return op === "Add" ? "bias" : "normalization-scale";
}

/** Whether the elements are finite, of moderate size, and not all the same; a name of the author's own excuses the last. */
function looksLearned({ data }: Tensor, name: string): boolean {
  if (!(data instanceof Float32Array)) return false;
  const first = data[0];
  const isNamed = !isNumbered(name) && !name.includes("Constant");
  return data.every((value) => Math.abs(value) < largestWeight) && (isNamed || data.some((value) => value !== first));
}

/** Whether a name is a number that an exporter gave. */
function isNumbered(name: string): boolean {
  return name === "" || /^onnx::|^_?v?_?\d+$/.test(name);
}

/** Whether training changes parameters of a role by their gradient. */
export function isTrainedRole(role: ParameterRole): boolean {
  return role !== "running-mean" && role !== "running-variance" && role !== "observer";
}

/** Parameters that belong to one node each, even where the exporter stored equal ones once. */
export function isOwnRole(role: ParameterRole): boolean {
  return role === "bias" || role.startsWith("running-") || role.startsWith("normalization-");
}

const suffixes: Readonly<Record<ParameterRole, string>> = {
  weight: "weight",
  bias: "bias",
  "normalization-scale": "weight",
  "normalization-bias": "bias",
  "running-mean": "running_mean",
  "running-variance": "running_var",
  quantizer: "quantizer",
  observer: "observer",
  other: "parameter",
};

/**
 * The name of a parameter: the file's own, or where that is a number of the exporter's (`onnx::Conv_193`), the node's
 * with the role: `/layer1/layer1.0/conv1/Conv` has the weight `layer1.0.conv1.weight`.
 */
export function parameterName(stored: string, role: ParameterRole, node: { name: string; op: string }): string {
  if (!isNumbered(stored)) return stored;
  const scopes = node.name.split("/").filter((part) => part !== "");
  if (scopes.length > 1 && (scopes.at(-1) ?? "").startsWith(node.op)) scopes.pop();
  // Torch's scopes repeat what they lie in: layer1/layer1.0/conv1 is layer1.0.conv1.
  const parts = scopes.filter((scope, i) => !(scopes[i + 1] ?? "").startsWith(`${scope}.`));
  return `${parts.join(".")}.${suffixes[role]}`;
}
