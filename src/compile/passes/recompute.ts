/**
 * Recomputation: what the backward pass reads of the forward pass is computed again there, where that takes one cheap
 * pass over tensors that are held anyway or are much smaller. The value of the forward pass is then given back after its
 * last reader there, instead of being held until the gradients come to it (Chen et al., "Training Deep Nets with
 * Sublinear Memory Cost", arXiv 1604.06174, for the cheapest of operators only).
 */
import { type Graph, intAttribute, intsAttribute, makers, makeValue, type Node, type Value } from "../../ir/graph.ts";
import { blockedDomain } from "../../ops/cpu/engine-operators.ts";
import { bytesOf, ownersOf } from "../memory.ts";
import { gradientPrefix } from "./differentiate.ts";

/** Smaller tensors are not worth a node. */
const leastBytes = 1 << 16;

/** One pass over the tensor, and deterministic: computed again, the bits are the same. */
const cheapOperators = new Set(["Clip", "DequantizeLinear", "HardSigmoid", "Mul", "Relu"]);

function isCheap(node: Node): boolean {
  if (node.outputs.length !== 1) return false;
  if (node.domain === "") return cheapOperators.has(node.op);
  // A scale and an offset for each channel.
  return (
    node.op === "Conv" &&
    node.domain === blockedDomain &&
    node.inputs.length <= 3 &&
    intAttribute(node, "group", 1) === node.outputs[0]?.type.shape[1] &&
    intsAttribute(node, "kernel_shape").every((size) => size === 1)
  );
}

function isBackward(node: Node): boolean {
  return node.name.startsWith(gradientPrefix);
}

/** What decides whether a value is at hand in the backward pass. */
class Holding {
  readonly #makers: ReadonlyMap<Value, Node>;
  readonly #owners: ReadonlyMap<Value, Value>;
  /** Values that stay for the backward pass whatever happens here, views resolved. */
  readonly #stays = new Set<Value>();

  constructor(graph: Graph) {
    this.#owners = ownersOf(graph);
    this.#makers = makers(graph);
    for (const value of [...graph.inputs, ...graph.constants.keys()]) this.#stays.add(value);
    for (const node of graph.nodes) {
      if (!isBackward(node)) continue;
      for (const input of node.inputs) {
        const maker = input === undefined ? undefined : this.#makers.get(this.ownerOf(input));
        if (input !== undefined && maker !== undefined && !isCheap(maker)) this.#stays.add(this.ownerOf(input));
      }
    }
  }

  ownerOf(value: Value): Value {
    return this.#owners.get(value) ?? value;
  }

  makerOf(value: Value): Node | undefined {
    return this.#makers.get(value);
  }

  /** Whether a node, and up to `depth` of those before it, can run again without holding more than its output would take. */
  canRepeat(node: Node, depth = 1): boolean {
    const [output] = node.outputs;
    if (output === undefined || !isCheap(node)) return false;
    return node.inputs.every((input) => {
      if (input === undefined) return true;
      const owner = this.ownerOf(input);
      if (this.#stays.has(owner) || 3 * bytesOf(owner.type) <= bytesOf(output.type)) return true;
      const maker = this.#makers.get(owner);
      return depth > 0 && owner === input && maker !== undefined && this.canRepeat(maker, depth - 1);
    });
  }
}

/** The graph of a training step with cheap values computed again for the backward pass. */
export function recomputeCheap(graph: Graph): Graph {
  const holding = new Holding(graph);
  const again = new Map<Value, Value>();
  const nodes: Node[] = [];
  const repeated = (value: Value): Value => {
    const known = again.get(value);
    if (known !== undefined) return known;
    const maker = holding.makerOf(value);
    const isLarge = bytesOf(value.type) >= leastBytes;
    if (maker === undefined || isBackward(maker) || !isLarge || !holding.canRepeat(maker)) return value;
    const inputs = maker.inputs.map((input) => (input === undefined ? undefined : repeated(input)));
    const copy = makeValue(`${value.name}/again`, value.type);
    nodes.push({ ...maker, name: `${maker.name}/again`, inputs, outputs: [copy] });
    again.set(value, copy);
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
