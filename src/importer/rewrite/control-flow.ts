/**
 * Branches and loops that a static graph cannot hold. They are looked for before anything else, because a model that has
 * one is refused whatever the sizes of its inputs are, and asking for those first would send a user the long way round.
 */

import { UnsupportedError } from "../../errors.ts";
import type { FileGraph, FileNode, OnnxFile } from "../../onnx/read/file.ts";

/** Operators whose results follow from the shape of what they read. */
const ofShapes = new Set(["Shape", "Size"]);

/**
 * Refuses an If whose condition depends on the values of the model's inputs.
 *
 * @throws UnsupportedError that names the node, the inputs, and what is inside of the branches.
 */
export function refuseDataControlFlow(file: OnnxFile, source: string): void {
  const { graph } = file;
  if (!graph.nodes.some(({ op }) => op === "If")) return;
  const sources = inputsBehind(graph);
  for (const node of graph.nodes) {
    if (node.op !== "If" || node.domain !== "") continue;
    const behind = [...(sources.get(node.inputs[0] ?? "") ?? [])];
    if (behind.length === 0) continue;
    const names = behind.map((name) => `"${name}"`).join(" and ");
    const within = layersWithin(node);
    throw new UnsupportedError(
      `which branch of this If runs depends on the values of the input${behind.length > 1 ? "s" : ""} ${names}${within === "" ? "" : `; its branches hold ${within}`}`,
      {
        where: `${source}, node If "${node.name}"`,
        remedy: remedyFor(graph, behind),
      },
    );
  }
}

/** A number that is fed to choose a branch can be fixed before the export; a branch on computed values cannot. */
function remedyFor(graph: FileGraph, behind: readonly string[]): string {
  const [name] = behind;
  const input = graph.inputs.find((candidate) => candidate.name === name);
  const isSwitch =
    behind.length === 1 && (input?.dtype === "int64" || input?.dtype === "int32" || input?.dtype === "bool");
  const cut = "Training needs one fixed graph: export the branch that you need as a model of its own";
  if (!isSwitch) return `${cut}, or write the choice with Where.`;
  return `${cut}, with "${name}" a constant: in PyTorch export a module that calls the model with that value.`;
}

/** More inputs than this are not named: with all of them the sets of a large graph would take its nodes times its inputs. */
const namedInputs = 8;

/** For each value, the graph's inputs whose values, not only sizes, it depends on. */
function inputsBehind(graph: FileGraph): Map<string, ReadonlySet<string>> {
  const behind = new Map<string, ReadonlySet<string>>(graph.inputs.map(({ name }) => [name, new Set([name])]));
  for (const node of graph.nodes) {
    if (ofShapes.has(node.op) && node.domain === "") continue;
    const all = new Set(node.inputs.flatMap((name) => [...(behind.get(name) ?? [])]).slice(0, namedInputs));
    if (all.size > 0) for (const output of node.outputs) behind.set(output, all);
  }
  return behind;
}

const layers = ["LSTM", "GRU", "RNN", "Conv", "Gemm", "MatMul"];

/** `LSTM and Conv`: the layers inside of a node's branches. */
function layersWithin(node: FileNode): string {
  const found = new Set<string>();
  const visit = (inner: FileNode): void => {
    if (layers.includes(inner.op)) found.add(inner.op);
    for (const attribute of inner.attributes.values()) {
      if (typeof attribute === "object" && "subgraph" in attribute) attribute.subgraph.nodes.forEach(visit);
    }
  };
  visit(node);
  return layers.filter((op) => found.has(op)).join(", ");
}
