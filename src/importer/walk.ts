/**
 * Reads a file's graph node by node into an emitter: names become slots, nodes are brought to their present form, taken
 * apart, computed, or added.
 */

import { GraphError, UnsupportedError } from "../errors.ts";
import type { Attribute } from "../ir/graph.ts";
import { becomesFloat32, inFloat32 } from "../ir/half.ts";
import { toNumbers } from "../ir/tensor.ts";
import type { FileAttribute, FileBody, FileNode } from "../onnx/read/file.ts";
import { dtypeFromOnnx, dtypeToOnnx } from "../onnx/wire/proto.ts";
import { ifOperator, loopOperator } from "../ops/file-operators.ts";
import { BatchDependence } from "../ops/rewrite/context.ts";
import { type Slot, type SourceNode, tensorOf } from "../ops/rewrite/slots.ts";
import type { Emitter } from "./emitter.ts";
import { isOf, recordOf } from "./records.ts";
import { batchForm } from "./rewrite/batch-forms.ts";
import { undoneTranspose } from "./rewrite/channels-first.ts";
import { rewriteContext } from "./rewrite/context.ts";
import { mostLoopNodes, unrollLoop } from "./rewrite/loop.ts";
import { withBatchInFront } from "./rewrite/moved-batch.ts";
import { pickedPart } from "./rewrite/picked.ts";
import { readQuantization } from "./rewrite/quantization-nodes.ts";
import { decompose, inOwnDomain, upgrade } from "./rewrite/read-node.ts";
import { tiedConstants } from "./shared/tied.ts";

/** The slots of a graph's names, and of those of the graphs around it. */
class Names {
  readonly #slots = new Map<string, Slot>();
  readonly #outer: Names | undefined;

  constructor(outer?: Names) {
    this.#outer = outer;
  }

  get(name: string): Slot | undefined {
    return this.#slots.get(name) ?? this.#outer?.get(name);
  }

  set(name: string, slot: Slot): void {
    this.#slots.set(name, slot);
  }
}

/**
 * Adds the nodes of a graph.
 *
 * @param inputs The graph's inputs, by name.
 * @returns What the graph's outputs stand for, in order.
 */
export function walkGraph(
  e: Emitter,
  graph: FileBody,
  inputs: ReadonlyMap<string, Slot>,
  opset: ReadonlyMap<string, number>,
): Slot[] {
  const names = new Names();
  for (const [name, slot] of inputs) names.set(name, slot);
  return new Walk(e, opset).graph(graph, names);
}

class Walk {
  readonly #e: Emitter;
  readonly #opset: ReadonlyMap<string, number>;
  readonly #budget = { left: mostLoopNodes };

  constructor(e: Emitter, opset: ReadonlyMap<string, number>) {
    this.#e = e;
    this.#opset = opset;
  }

  graph(graph: FileBody, names: Names): Slot[] {
    const tied = tiedConstants(graph);
    for (const [name, tensor] of graph.constants) {
      const slot = this.#e.constant(tensor, name, true);
      names.set(name, tied.has(name) ? { ...slot, tied: true } : slot);
    }
    for (const node of graph.nodes) {
      const outputs = this.#node(node, names);
      node.outputs.forEach((name, i) => {
        const slot = outputs[i];
        if (name === "") return;
        if (slot !== undefined) names.set(name, slot);
      });
    }
    return graph.outputs.map((name) => {
      const slot = names.get(name);
      if (slot !== undefined) return slot;
      throw new GraphError(`the output "${name}" was left out of the network`, {
        where: `graph "${graph.name}"`,
        remedy: "Only training has this output (statistics or a mask): remove it from the outputs of the file.",
      });
    });
  }

  #node(file: FileNode, names: Names): readonly (Slot | undefined)[] {
    const e = this.#e;
    e.enter(file);
    const inputs = file.inputs.map((name) => (name === "" ? undefined : this.#input(file, name, names)));
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
    if (isOf(ifOperator, file)) return this.#branch(file, inputs[0], names);
    if (isOf(loopOperator, file)) return this.#loop(file, inputs, new Names(names));
    const source: SourceNode = {
      op: file.op,
      domain: file.domain,
      name: file.name,
      where: file.where,
      attributes: plainAttributes(file),
      inputs,
      outputCount: file.outputs.findLastIndex((name) => name !== "") + 1,
      opset: this.#opset.get(file.domain) ?? 0,
    };
    return this.#translate(source, file.outputs);
  }

  #input(file: FileNode, name: string, names: Names): Slot {
    const slot = names.get(name);
    if (slot !== undefined) return slot;
    throw new UnsupportedError(`its input "${name}" is an output that only training has`, {
      where: file.where,
      remedy: "Export the model in evaluation mode.",
    });
  }

  #translate(given: SourceNode, outputNames: readonly string[]): readonly (Slot | undefined)[] {
    const e = this.#e;
    const source = inOwnDomain(given);
    const context = rewriteContext(e);
    const parts = readQuantization(e, source) ?? decompose(context, source);
    if (parts !== undefined) return parts;
    const result = upgrade(context, source);
    if (!("op" in result)) return result;
    const node = withFloat32(result);
    const undone = undoneTranspose(e, node);
    if (undone !== undefined) return [undone];
    const inFront = withBatchInFront(e, node);
    if (inFront !== undefined) return inFront;
    const part = pickedPart(e, node);
    if (part !== undefined) return part;
    const known = recordOf(node)?.simplify?.(context, node) ?? batchForm(e, node);
    if (known !== undefined) return known;
    const { op, inputs, attributes, domain, outputCount } = node;
    return e.emit(op, inputs, attributes, {
      domain,
      outputCount,
      outputNames: outputNames.filter((name) => name !== "").length === outputNames.length ? outputNames : [],
    });
  }

  /** A branch that is known when the file is read replaces its If. */
  #branch(file: FileNode, condition: Slot | undefined, names: Names): Slot[] {
    const tensor = tensorOf(condition);
    if (condition?.kind === "batch") {
      throw new BatchDependence("which branch of this If runs depends on the size of the batch", { where: file.where });
    }
    if (tensor === undefined) {
      throw new UnsupportedError("which branch of this If runs depends on the data", {
        where: file.where,
        remedy: "Training needs one fixed graph: export the branch that you need as a model of its own.",
      });
    }
    const attribute = file.attributes.get(toNumbers(tensor)[0] ? "then_branch" : "else_branch");
    if (typeof attribute !== "object" || !("subgraph" in attribute)) {
      throw new GraphError("the If has no such branch", { where: file.where });
    }
    return this.graph(attribute.subgraph, new Names(names));
  }

  #loop(file: FileNode, inputs: readonly (Slot | undefined)[], names: Names): Slot[] {
    return unrollLoop(this.#e, file, inputs, {
      budget: this.#budget,
      define: (name, slot) => names.set(name, slot),
      read: (graph) => this.graph(graph, names),
      readOnce: (graph, given) => {
        const own = new Names(names);
        for (const [name, slot] of given) own.set(name, slot);
        return this.graph(graph, own);
      },
    });
  }
}

function plainAttributes(file: FileNode): Record<string, Attribute> {
  const plain: Record<string, Attribute> = {};
  for (const [name, attribute] of file.attributes) {
    if (isSubgraph(attribute)) {
      throw new UnsupportedError(`${file.op} has a nested graph, which subbyte does not train`, {
        where: file.where,
        remedy: "Unroll it before the export, or cut the model before this node.",
      });
    }
    plain[name] = attribute;
  }
  return plain;
}

function isSubgraph(attribute: FileAttribute): attribute is Extract<FileAttribute, { readonly subgraph: FileBody }> {
  return typeof attribute === "object" && "subgraph" in attribute;
}

/** Element types named by attributes: every float is read as float32. */
function withFloat32(node: SourceNode): SourceNode {
  const attributes = { ...node.attributes };
  for (const name of ["to", "dtype", "output_dtype"]) {
    const number = attributes[name];
    const dtype = typeof number === "number" ? dtypeFromOnnx(number) : undefined;
    if (dtype !== undefined && becomesFloat32(dtype)) attributes[name] = dtypeToOnnx("float32");
  }
  const { value } = attributes;
  if (typeof value === "object" && "tensor" in value) attributes.value = { tensor: inFloat32(value.tensor) };
  return { ...node, attributes };
}
