/** Unused inputs. Converters that precompute constants leave some behind, with meaningless sizes. */

import type { FileBody, OnnxFile } from "../onnx/read/file.ts";

/** Returns the file without its unused inputs, unless all are unused, and their names. */
export function dropUnusedInputs(file: OnnxFile): { readonly file: OnnxFile; readonly unused: readonly string[] } {
  const { graph } = file;
  const read = new Set(graph.outputs);
  addReadNames(graph, read);
  const inputs = graph.inputs.filter(({ name }) => read.has(name));
  if (inputs.length === 0 || inputs.length === graph.inputs.length) return { file, unused: [] };
  const inputNames = inputs.map(({ name }) => name);
  const unused = graph.inputNames.filter((name) => !read.has(name));
  return { file: { ...file, graph: { ...graph, inputs, inputNames } }, unused };
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

/** Returns the note for the user on the dropped inputs. */
export function unusedInputsNote(unused: readonly string[]): string {
  const names = unused.map((name) => `"${name}"`).join(", ");
  return unused.length === 1
    ? `The input ${names} is dropped: nothing reads it.`
    : `The inputs ${names} are dropped: nothing reads them.`;
}
