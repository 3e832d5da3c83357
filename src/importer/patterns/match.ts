/** Finding small subgraphs: from a value back to what made it. */

import { type Attributes, type Graph, type Node, producers, type Value } from "../../ir/graph.ts";
import { type Tensor, toNumbers } from "../../ir/tensor.ts";

/** The replacement of the last node of a pattern. */
export interface Replacement {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
}

/** Looks at a node as the end of a pattern. */
export type Pattern = (graph: Matcher, node: Node) => Replacement | undefined;

/** Relative difference at which a constant counts as the one that a formula has: exporters round to float32 or less. */
const sameNumber = 1e-4;

/** Returns whether two numbers are equal up to rounding. */
export function isClose(a: number | undefined, b: number): boolean {
  return a !== undefined && Math.abs(a - b) <= sameNumber * Math.max(1, Math.abs(b));
}

/** Reads a graph backwards from a node, as patterns need it. */
export class Matcher {
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #constants: ReadonlyMap<Value, Tensor>;

  constructor(graph: Graph) {
    this.#producers = producers(graph);
    this.#constants = graph.constants;
  }

  /** The node that made a value, if it is this operator. */
  producer(value: Value | undefined, ...ops: readonly string[]): Node | undefined {
    const node = value === undefined ? undefined : this.#producers.get(value);
    return node !== undefined && ops.includes(node.op) && node.outputs[0] === value ? node : undefined;
  }

  /** The number of a constant of one element. */
  number(value: Value | undefined): number | undefined {
    const tensor = value === undefined ? undefined : this.#constants.get(value);
    return tensor?.dtype === "float32" && tensor.data.length === 1 ? toNumbers(tensor)[0] : undefined;
  }

  /** The integers of a constant. */
  integers(value: Value | undefined): readonly number[] | undefined {
    const tensor = value === undefined ? undefined : this.#constants.get(value);
    return tensor?.dtype === "int64" ? toNumbers(tensor) : undefined;
  }

  /** The value that an operator combines with a number, and the number. Div by n counts as Mul by 1/n, Sub as Add of −n. */
  withNumber(value: Value | undefined, op: "Add" | "Mul"): { x: Value; number: number } | undefined {
    const inverse = op === "Add" ? "Sub" : "Div";
    const node = this.producer(value, op, inverse);
    const [a, b] = node?.inputs ?? [];
    if (node === undefined || a === undefined || b === undefined) return undefined;
    const right = this.number(b);
    if (node.op === inverse) {
      return right === undefined ? undefined : { x: a, number: op === "Add" ? -right : 1 / right };
    }
    if (right !== undefined) return { x: a, number: right };
    const left = this.number(a);
    return left === undefined ? undefined : { x: b, number: left };
  }

  /** The factors of a product, however it is nested, at most eight; a division by a number is a factor too. */
  factors(value: Value): { values: Value[]; number: number } {
    const values: Value[] = [];
    let number = 1;
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const scaled = this.withNumber(next, "Mul");
      const product = this.producer(next, "Mul");
      const [a, b] = product?.inputs ?? [];
      if (scaled !== undefined) {
        number *= scaled.number;
        open.push(scaled.x);
      } else if (a !== undefined && b !== undefined && values.length + open.length < 8) open.push(a, b);
      else values.push(next);
    }
    return { values, number };
  }
}
