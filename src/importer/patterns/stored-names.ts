/** The names that exporters give to stored tensors: the author's own, numbers, and those of the nodes that held them. */

import type { ParameterRole } from "../../ir/network.ts";

/** Whether a name is a number that an exporter gave. */
function isNumbered(name: string): boolean {
  return name === "" || /^onnx::|^_?v?_?\d+$/.test(name);
}

/** Whether the author named a tensor: its name is neither a number nor that of a Constant node. */
export function isNamedByAuthor(name: string): boolean {
  return !isNumbered(name) && !name.includes("Constant");
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
