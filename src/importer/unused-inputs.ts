/** Inputs that nothing reads. Converters that compute constants beforehand leave some behind, with sizes that say nothing. */

import type { FileBody, OnnxFile } from "../onnx/read/file.ts";

/** The same file without them, unless nothing reads any input, and their names. */
export function dropUnusedInputs(file: OnnxFile): { readonly file: OnnxFile; readonly unread: readonly string[] } {
  const { graph } = file;
  const read = new Set(graph.outputs);
  addReadNames(graph, read);
  const inputs = graph.inputs.filter(({ name }) => read.has(name));
  if (inputs.length === 0 || inputs.length === graph.inputs.length) return { file, unread: [] };
  const inputNames = inputs.map(({ name }) => name);
  const unread = graph.inputNames.filter((name) => !read.has(name));
  return { file: { ...file, graph: { ...graph, inputs, inputNames } }, unread };
}

function addReadNames(body: FileBody, read: Set<string>): void {
  for (const node of body.nodes) {
    for (const name of node.inputs) read.add(name);
    for (const attribute of node.attributes.values()) {
      if (typeof attribute !== "object" || !("subgraph" in attribute)) continue;
      for (const name of attribute.subgraph.outputs) read.add(name);
      addReadNames(attribute.subgraph, read);
    }
  }
}

/** The note for the user on the inputs that were dropped. */
export function unusedInputsNote(unread: readonly string[]): string {
  const names = unread.map((name) => `"${name}"`).join(", ");
  return unread.length === 1
    ? `The input ${names} is left out: nothing reads it.`
    : `The inputs ${names} are left out: nothing reads them.`;
}
