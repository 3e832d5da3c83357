/**
 * Finds state that may be updated in place: its next value may be written over the present one where the graph itself rules
 * out a write-after-read hazard. An engine may run a graph in any order in which no node runs before the producers of its
 * inputs. So the producer of the next value may overwrite the tensor where it depends, directly or not, on every other
 * consumer of it, and where it goes through the tensor element by element if it reads it itself.
 */
import { capturedValues, type Graph, type Node, producers, type Value } from "../../ir/graph.ts";
import { sameShape } from "../../ir/types.ts";
import { nextName } from "../build/training-step.ts";
import { bytesOf, ownersOf } from "../memory.ts";
import { traitsOf } from "../registry.ts";

/** Smaller tensors are not worth the search. */
const leastBytes = 1 << 14;

/** A tensor of the state, and the value that becomes it. */
export interface Update {
  readonly present: Value;
  readonly next: Value;
}

/** The dependences between the values of a graph. Views count as the value that they show. */
export class DataFlow {
  readonly #owners: ReadonlyMap<Value, Value>;
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #consumers = new Map<Value, Node[]>();
  readonly #ancestors = new Map<Node, ReadonlySet<Node>>();

  constructor(graph: Graph) {
    this.#owners = ownersOf(graph);
    this.#producers = producers(graph);
    for (const node of graph.nodes) {
      for (const input of valuesReadBy(node)) {
        const owner = this.ownerOf(input);
        const known = this.#consumers.get(owner);
        if (known === undefined) this.#consumers.set(owner, [node]);
        else known.push(node);
      }
    }
  }

  ownerOf(value: Value): Value {
    return this.#owners.get(value) ?? value;
  }

  producerOf(value: Value): Node | undefined {
    return this.#producers.get(value);
  }

  /** The nodes that read a value or a view of it; those that only make a view are among them. */
  consumersOf(value: Value): readonly Node[] {
    return this.#consumers.get(value) ?? [];
  }

  /** All nodes that run before this one in any order. */
  ancestorsOf(node: Node): ReadonlySet<Node> {
    const known = this.#ancestors.get(node);
    if (known !== undefined) return known;
    const found = new Set<Node>();
    const open = [node];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const input of valuesReadBy(next)) {
        const producer = this.#producers.get(input);
        if (producer === undefined || found.has(producer)) continue;
        found.add(producer);
        open.push(producer);
      }
    }
    this.#ancestors.set(node, found);
    return found;
  }

  /** The consumers of the present value that may run after the producer of the next; undefined where the two can never share. */
  hazardsOf({ present, next }: Update): readonly Node[] | undefined {
    const producer = this.#producers.get(next);
    if (producer === undefined || bytesOf(present.type) !== bytesOf(next.type)) return undefined;
    const before = this.ancestorsOf(producer);
    if (this.consumersOf(present).includes(producer) && !this.#goesThrough(producer, present)) return undefined;
    return this.consumersOf(present).filter((node) => node !== producer && !before.has(node));
  }

  #goesThrough(node: Node, present: Value): boolean {
    const [output] = node.outputs;
    return (
      traitsOf(node).inPlace === true &&
      node.inputs.every(
        (input) =>
          input === undefined ||
          this.ownerOf(input) !== present ||
          (output !== undefined && sameShape(input.type.shape, output.type.shape)),
      )
    );
  }
}

/** The updates of a training step's graph that are large enough to look at. */
export function largeUpdates(graph: Graph, flow: DataFlow): Update[] {
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, flow.ownerOf(value)]));
  const uses = new Map<Value, number>();
  for (const owner of outputs.values()) uses.set(owner, (uses.get(owner) ?? 0) + 1);
  return graph.inputs.flatMap((present) => {
    const next = outputs.get(nextName(present.name));
    // A value that is also another output would be overwritten, or written twice.
    if (next === undefined || uses.get(next) !== 1 || uses.has(present) || bytesOf(present.type) < leastBytes)
      return [];
    return [{ present, next }];
  });
}

/** The updates of a training step that may be done in place. */
export function updatesInPlace(graph: Graph): Update[] {
  const flow = new DataFlow(graph);
  return largeUpdates(graph, flow).filter((update) => flow.hazardsOf(update)?.length === 0);
}

function valuesReadBy(node: Node): Value[] {
  return [...node.inputs.filter((value) => value !== undefined), ...capturedValues(node)];
}
