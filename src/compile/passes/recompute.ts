/**
 * Recomputation (rematerialization): the backward pass computes values of the forward pass again, where that takes one cheap
 * pass over tensors that are kept anyway or are much smaller. The memory of the forward pass's own value is then free after
 * its last consumer there (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174, for the cheapest
 * of operators only).
 */
import { type Graph, makeValue, type Node, producers, type Value } from "../../ir/graph.ts";
import { originOf } from "../../ir/origin.ts";
import { bytesOf, ownersOf } from "../memory.ts";
import { traitsOf } from "../registry.ts";

/** Smaller tensors are not worth a node. */
const leastBytes = 1 << 16;

function isCheap(node: Node): boolean {
  const { cheap = false } = traitsOf(node);
  return node.outputs.length === 1 && (typeof cheap === "boolean" ? cheap : cheap(node));
}

function isBackward(node: Node): boolean {
  return node.origin.phase === "backward";
}

/** Tells which values are available in the backward pass. */
class Availability {
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #owners: ReadonlyMap<Value, Value>;
  /** Values that stay for the backward pass whatever happens here, views resolved. */
  readonly #stays = new Set<Value>();

  constructor(graph: Graph) {
    this.#owners = ownersOf(graph);
    this.#producers = producers(graph);
    for (const value of [...graph.inputs, ...graph.constants.keys()]) this.#stays.add(value);
    for (const node of graph.nodes) {
      if (!isBackward(node)) continue;
      for (const input of node.inputs) {
        const producer = input === undefined ? undefined : this.#producers.get(this.ownerOf(input));
        if (input !== undefined && producer !== undefined && !isCheap(producer)) this.#stays.add(this.ownerOf(input));
      }
    }
  }

  ownerOf(value: Value): Value {
    return this.#owners.get(value) ?? value;
  }

  producerOf(value: Value): Node | undefined {
    return this.#producers.get(value);
  }

  /** Whether a node, and up to `depth` of those before it, can run again without holding more than its output would take. */
  canRepeat(node: Node, depth = 1): boolean {
    const [output] = node.outputs;
    if (output === undefined || !isCheap(node)) return false;
    return node.inputs.every((input) => {
      if (input === undefined) return true;
      const owner = this.ownerOf(input);
      if (this.#stays.has(owner) || 3 * bytesOf(owner.type) <= bytesOf(output.type)) return true;
      const producer = this.#producers.get(owner);
      return depth > 0 && owner === input && producer !== undefined && this.canRepeat(producer, depth - 1);
    });
  }
}

/** The graph of a training step with cheap values computed again for the backward pass. */
export function recomputeCheap(graph: Graph): Graph {
  const available = new Availability(graph);
  const recomputed = new Map<Value, Value>();
  const nodes: Node[] = [];
  const repeated = (value: Value): Value => {
    const known = recomputed.get(value);
    if (known !== undefined) return known;
    const producer = available.producerOf(value);
    const isLarge = bytesOf(value.type) >= leastBytes;
    if (producer === undefined || isBackward(producer) || !isLarge || !available.canRepeat(producer)) return value;
    const inputs = producer.inputs.map((input) => (input === undefined ? undefined : repeated(input)));
    const copy = makeValue(`${value.name}/recomputed`, value.type);
    const origin = originOf("backward", producer.origin.layer);
    nodes.push({ ...producer, name: `${producer.name}/recomputed`, inputs, outputs: [copy], origin });
    recomputed.set(value, copy);
    return copy;
  };
  for (const node of graph.nodes) {
    const inputs = isBackward(node)
      ? node.inputs.map((value) => (value === undefined ? undefined : repeated(value)))
      : node.inputs;
    nodes.push({ ...node, inputs });
  }
  return { ...graph, nodes };
}
