/**
 * Layers that are written out over time, as passes see them that put quantizers in: what stands at one place at every step has
 * one quantizer, and what is cut into steps or gates is quantized before it is cut.
 */

import { type Graph, type GraphBuilder, type Node, producers, type Value } from "../../ir/graph.ts";
import { traitsOf } from "../registry.ts";
import { copyNode, mapped, type ValueMap } from "./copy.ts";

/** The nodes of a graph that are repeated at every time step. */
export class TimeSteps {
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #repeated = new Map<string, Node[]>();
  readonly #isFixed: (value: Value) => boolean;

  /** @param parameters The names of the graph's inputs that are no data. */
  constructor(graph: Graph, parameters: ReadonlySet<string>) {
    this.#producers = producers(graph);
    this.#isFixed = (value) => graph.constants.has(value) || value.known !== undefined || parameters.has(value.name);
    for (const node of graph.nodes) {
      if (node.origin.step === undefined) continue;
      this.#repeated.set(node.name, [...(this.#repeated.get(node.name) ?? []), node]);
    }
  }

  /** Returns what a value is cut from within the layer that reads it; the value itself for layers without time. */
  sourceOf(reader: Node, value: Value): Value {
    if (reader.origin.step === undefined) return value;
    let source = value;
    let isCut = false;
    for (let node = this.#mover(reader, source); node !== undefined; node = this.#mover(reader, source)) {
      const [input] = node.inputs;
      if (input === undefined) break;
      source = input;
      isCut ||= node.outputs.length > 1;
    }
    // A state that is only reshaped stays as the steps have it, so that a calibration can join the values of all steps.
    return isCut && !this.#isFixed(source) ? source : value;
  }

  #mover(reader: Node, value: Value): Node | undefined {
    const node = this.#producers.get(value);
    const isOwn = node !== undefined && node.origin.layer === reader.origin.layer;
    return isOwn && traitsOf(node).passesCodes === "moved" ? node : undefined;
  }

  /** Returns the sources of the values that stand where this one stands, at all time steps. */
  atAllSteps(reader: Node, value: Value): Value[] {
    const [input, output] = [reader.inputs.indexOf(value), reader.outputs.indexOf(value)];
    const nodes = reader.origin.step === undefined ? [reader] : (this.#repeated.get(reader.name) ?? [reader]);
    return nodes.flatMap((node) => {
      const same = output < 0 ? node.inputs[input] : node.outputs[output];
      return same === undefined ? [] : [this.sourceOf(node, same)];
    });
  }

  /** Returns what a value is in the new graph where its source became another value: cut in the same way. */
  cutAgain(builder: GraphBuilder, map: ValueMap, value: Value, source: Value, made: Value): Value {
    const node = this.#producers.get(value);
    const [input, ...others] = node?.inputs ?? [];
    if (value === source || node === undefined || input === undefined) return made;
    const cut = this.cutAgain(builder, map, input, source, made);
    const rest = others.map((other) => (other === undefined ? undefined : mapped(map, other, node)));
    return copyNode(builder, node, [cut, ...rest])[node.outputs.indexOf(value)] ?? made;
  }
}
