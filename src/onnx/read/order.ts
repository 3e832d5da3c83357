/**
 * Puts the nodes of an ONNX file in an order in which values are made before they are used.
 *
 * ONNX demands that order, but tools that edit models do not always keep it; a real cycle is an error that names its nodes.
 */

import type { GraphProto, NodeProto } from "onnx-buf";
import { GraphError } from "../../errors.ts";

/** Names that a node reads: its inputs, and what its subgraphs take from outside themselves. */
function namesRead(node: NodeProto): string[] {
  const names = node.input.filter((name) => name !== "");
  const captured = node.attribute.flatMap(({ g: graph }) => (graph === undefined ? [] : namesCaptured(graph)));
  return captured.length === 0 ? names : [...names, ...captured];
}

function namesCaptured(graph: GraphProto): string[] {
  const own = new Set<string>();
  for (const input of graph.input) own.add(input.name);
  for (const tensor of graph.initializer) own.add(tensor.name);
  for (const node of graph.node) for (const name of node.output) own.add(name);
  const read = [...graph.node.flatMap(namesRead), ...graph.output.map((output) => output.name)];
  return read.filter((name) => !own.has(name));
}

/** `node Conv "conv1"`, or by its outputs when it has no name. */
export function showProto(node: NodeProto): string {
  return `node ${node.opType} "${node.name === "" ? node.output.join(", ") : node.name}"`;
}

/**
 * The nodes in a valid order, which is the file's own where that is valid.
 *
 * `given` are the inputs and initializers of this graph, `isOuter` knows the values of the graphs around it.
 *
 * @throws GraphError for a value that is defined twice, that nothing makes, or that depends on itself.
 */
export function orderNodes(
  nodes: readonly NodeProto[],
  given: ReadonlySet<string>,
  isOuter: (name: string) => boolean,
  where: string,
): NodeProto[] {
  const producers = new Map<string, NodeProto>();
  for (const node of nodes) {
    for (const name of node.output) {
      if (name === "") continue;
      const other = producers.get(name);
      if (other !== undefined || given.has(name)) {
        const first = other === undefined ? "an input or initializer" : showProto(other);
        throw new GraphError(`"${name}" is produced twice: by ${first} and by ${showProto(node)}`, {
          where,
          remedy: "Every value of an ONNX graph has one producer: rename one of the two.",
        });
      }
      producers.set(name, node);
    }
  }

  const ordered: NodeProto[] = [];
  const state = new Map<NodeProto, "open" | "done">();
  for (const root of nodes) {
    if (state.has(root)) continue;
    // A stack of our own, because a chain of nodes may be longer than the call stack is deep.
    const stack = [{ node: root, reads: namesRead(root), next: 0 }];
    state.set(root, "open");
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = top.reads[top.next++];
      if (name === undefined) {
        state.set(top.node, "done");
        ordered.push(top.node);
        stack.pop();
        continue;
      }
      const producer = producers.get(name);
      if (producer === undefined) {
        if (given.has(name) || isOuter(name)) continue;
        throw new GraphError(`no node produces the input "${name}" of ${showProto(top.node)}`, {
          where,
          remedy: "The model was cut out of a larger one or edited wrongly: export it again.",
        });
      }
      if (state.get(producer) === "open") {
        const start = stack.findIndex((entry) => entry.node === producer);
        const cycle = stack.slice(start).map((entry) => entry.node);
        throw cycleError(cycle, where);
      }
      if (!state.has(producer)) {
        state.set(producer, "open");
        stack.push({ node: producer, reads: namesRead(producer), next: 0 });
      }
    }
  }
  return ordered;
}

const shownInCycle = 6;

function cycleError(nodes: readonly NodeProto[], where: string): GraphError {
  const shown = nodes.slice(0, shownInCycle).map(showProto);
  if (nodes.length > shownInCycle) shown.push(`${nodes.length - shownInCycle} more`);
  return new GraphError(`these nodes form a cycle: ${shown.join(", ")}`, {
    where,
    remedy: "A graph must not have cycles: export the model again.",
  });
}
