/**
 * Removes write-after-read hazards, so that updates may be done in place (in-place.ts): control dependencies make an update
 * wait for consumers that could run later. The update's learning rate is passed on only when a completion token, an element
 * of what the consumer computes, is there. That takes three nodes on single numbers for each token and no pass over a tensor.
 */
import { type Graph, makeValue, type Node, type Value } from "../../ir/graph.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { isOperator, type OperatorDefinition } from "../../ops/definition.ts";
import { castOperator } from "../../ops/families/cast.ts";
import { whereOperator } from "../../ops/families/comparison.ts";
import { divideOperator, multiplyOperator } from "../../ops/families/elementwise.ts";
import { reshapeOperator } from "../../ops/families/shape/reshaping.ts";
import { sliceOperator } from "../../ops/families/shape/slicing.ts";
import { bytesOf } from "../memory.ts";
import { traitsOf } from "../registry.ts";
import { DataFlow, largeUpdates, type Update } from "./in-place.ts";

/** Smaller tensors are not worth the nodes. */
const leastBytes = 1 << 18;

/** Completion tokens that an update waits for at most. */
const mostTokens = 3;

/** Whether a node only brings values into another order or type: its output is no proof that its consumers have run. */
function isMovement(node: Node): boolean {
  return traitsOf(node).movement === true || isOperator(castOperator, node);
}

/** The node of an update that can wait: one with a single number among its inputs. */
interface ControlPoint {
  readonly node: Node;
  readonly scalar: Value;
}

/** The graph of a training step with updates in an order that lets them be done in place, where that can be had. */
export function orderUpdates(graph: Graph): Graph {
  const flow = new DataFlow(graph);
  const constants = new Map(graph.constants);
  const constant = (name: string, tensor: Tensor): Value => {
    const value = makeValue(name, { dtype: tensor.dtype, shape: tensor.shape });
    constants.set(value, tensor);
    return value;
  };
  const never = constant("never", makeTensor("bool", [], Uint8Array.of(0)));
  const added: Node[] = [];
  const replaced = new Map<Node, Node>();
  for (const update of largeUpdates(graph, flow)) {
    const hazards = bytesOf(update.present.type) < leastBytes ? [] : (flow.hazardsOf(update) ?? []);
    const tokens = completionTokens(flow, hazards);
    if (tokens === undefined || tokens.length === 0 || tokens.length > mostTokens) continue;
    const point = controlPointOf(flow, update);
    if (point === undefined || replaced.has(point.node)) continue;
    const { node, scalar } = point;
    let controlled = scalar;
    for (const [i, token] of tokens.entries()) {
      const name = `${node.name}/after_${i}`;
      const { shape } = token.type;
      const numbers = (all: bigint[]) => constant("index", makeTensor("int64", [all.length], BigInt64Array.from(all)));
      const one = makeValue(`${name}/one`, { dtype: token.type.dtype, shape: shape.map(() => 1) });
      const number = makeValue(`${name}/number`, { dtype: token.type.dtype, shape: scalar.type.shape });
      const passed = makeValue(`${name}/passed`, scalar.type);
      const corner = [numbers(shape.map(() => 0n)), numbers(shape.map(() => 1n))];
      const target = numbers(scalar.type.shape.map((size) => BigInt(size)));
      const nodeOf = ({ op, domain }: OperatorDefinition, inputs: readonly Value[], output: Value): Node => {
        return { ...node, op, domain, name: `${name}/${op}`, inputs, outputs: [output], attributes: {} };
      };
      added.push(
        nodeOf(sliceOperator, [token, ...corner], one),
        nodeOf(reshapeOperator, [one, target], number),
        nodeOf(whereOperator, [never, number, controlled], passed),
      );
      controlled = passed;
    }
    replaced.set(node, { ...node, inputs: node.inputs.map((input) => (input === scalar ? controlled : input)) });
  }
  if (replaced.size === 0) return graph;
  const nodes = graph.nodes.map((node) => replaced.get(node) ?? node);
  return { ...graph, constants, nodes: inOrder(nodes, added) };
}

/** Values that exist only after these consumers have run; undefined where no value can be relied on. */
function completionTokens(flow: DataFlow, hazards: readonly Node[]): Value[] | undefined {
  const tokens = new Set<Value>();
  const seen = new Set<Node>();
  const open = [...hazards];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const [output] = node.outputs;
    if (isMovement(node)) {
      const next = node.outputs.flatMap((value) => flow.consumersOf(value));
      if (next.length === 0) return undefined;
      open.push(...next);
    } else {
      // An update that waited for another update could come to wait for itself.
      if (output === undefined || !canBeSliced(output) || [node, ...flow.ancestorsOf(node)].some(isUpdating)) {
        return undefined;
      }
      tokens.add(output);
    }
  }
  return [...tokens];
}

function canBeSliced({ type }: Value): boolean {
  return type.dtype === "float32" && type.shape.length > 0 && elementCount(type.shape) > 0;
}

function isUpdating({ origin }: Node): boolean {
  return origin.phase === "update";
}

/** The product of an update with its learning rate, a few nodes before its output. */
function controlPointOf(flow: DataFlow, { next }: Update): ControlPoint | undefined {
  let nodes = [flow.producerOf(next)];
  for (let depth = 0; depth < 3; depth++) {
    for (const node of nodes) {
      if (node === undefined || !isUpdating(node) || !takesFactor(node)) continue;
      const scalar = node.inputs.find((input) => input !== undefined && isNumber(input));
      const [output] = node.outputs;
      if (scalar !== undefined && output !== undefined && !isNumber(output)) return { node, scalar };
    }
    nodes = nodes.flatMap((node) => node?.inputs.map((input) => input && flow.producerOf(input)) ?? []);
  }
  return undefined;
}

function takesFactor(node: Node): boolean {
  return isOperator(multiplyOperator, node) || isOperator(divideOperator, node);
}

function isNumber({ type }: Value): boolean {
  return type.dtype === "float32" && elementCount(type.shape) === 1;
}

/** Puts the new nodes behind what they wait for, and what waits for them behind them; all else stays in its order. */
function inOrder(nodes: readonly Node[], added: readonly Node[]): Node[] {
  const unmade = new Set<Value>([...nodes, ...added].flatMap(({ outputs }) => outputs));
  const ordered: Node[] = [];
  let waiting: readonly Node[] = added;
  for (const node of nodes) {
    let left = [...waiting, node];
    for (let before = left.length + 1; left.length < before; ) {
      before = left.length;
      left = left.filter((candidate) => {
        if (candidate.inputs.some((input) => input !== undefined && unmade.has(input))) return true;
        ordered.push(candidate);
        for (const output of candidate.outputs) unmade.delete(output);
        return false;
      });
    }
    waiting = left;
  }
  if (waiting.length > 0) throw new Error("the updates of a training step form a cycle");
  return ordered;
}
