/**
 * One mask in place of two: a gradient that passes a quantizer and then the ReLU or ReLU6 before it is multiplied by two
 * masks of the same tensor, which are one mask with the closer limits of both. The masks are ones and zeros, so the bits
 * stay the same.
 *
 * A learned step reads the gradient between the two, as Σ dx·x. That sum is the same behind both masks where they differ
 * only in what is zero anyway, and for ReLU6 where the quantizer's limit lies below the highest value; where it does not,
 * the quantizer masks nothing.
 */
import { intAttribute } from "../../ir/attributes.ts";
import { consumers, type Graph, type Node, producers, type Value } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { floatBefore } from "../../ops/build/masks.ts";
import { isOperator } from "../../ops/definition.ts";
import { clipOperator, reluOperator } from "../../ops/families/activations.ts";
import { greaterOrEqual, where } from "../../ops/families/comparison.ts";
import { minimum, multiply, multiplyOperator } from "../../ops/families/elementwise.ts";
import { dot, dotOperator } from "../../ops/internal/channel-ops.ts";
import { insideLimits, insideLimitsOperator } from "../../ops/internal/inside-limits.ts";
import { newBuilder } from "../registry.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";

/** A product of a gradient with a mask. */
interface Masked {
  readonly product: Value;
  readonly gradient: Value;
  /** The tensor whose limits the mask tells. */
  readonly of: Value;
  readonly positive: boolean;
  readonly upper: Value | undefined;
}

/** The graph with each gradient that is masked twice by limits of one tensor masked once. */
export function joinMasks(graph: Graph): Graph {
  const { seconds, joined } = findPairs(graph);
  if (joined.size === 0) return graph;
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, (node, inputs) => {
    const [output] = node.outputs;
    // What was masked for the second time is what was masked for the first time and the last.
    if (output !== undefined && seconds.has(output)) return [mapped(map, seconds.get(output) ?? output)];
    const pair = output === undefined ? undefined : joined.get(output);
    if (pair !== undefined) return builder.scope(node.name, () => [joinedProduct(pair)]);
    const read = node.inputs.flatMap((value) => (value === undefined ? [] : (joined.get(value) ?? [])))[0];
    return read === undefined ? undefined : builder.scope(node.name, () => sumBehindBoth(read, inputs));
  });
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return builder.finish();

  function joinedProduct({ first, second }: Pair): Value {
    const [one, other] = [first.upper, second.upper].flatMap((value) =>
      value === undefined ? [] : mapped(map, value),
    );
    const upper = one === undefined || other === undefined ? one : minimum(builder, one, other);
    const limits = { positive: first.positive || second.positive, upper };
    return multiply(builder, mapped(map, first.gradient), insideLimits(builder, mapped(map, first.of), limits));
  }

  /** Σ dx·x; undefined where the node's own form is right. */
  function sumBehindBoth({ first, highest }: Pair, inputs: readonly (Value | undefined)[]): Value[] | undefined {
    const [product, x] = inputs;
    if (highest === undefined || first.upper === undefined || product === undefined || x === undefined)
      return undefined;
    const masksNothing = greaterOrEqual(builder, mapped(map, first.upper), highest);
    return [where(builder, masksNothing, dot(builder, mapped(map, first.gradient), x), dot(builder, product, x))];
  }
}

interface Pair {
  readonly first: Masked;
  readonly second: Masked;
  /** The highest value of what is masked, where the second mask ends there. */
  readonly highest: number | undefined;
}

interface Pairs {
  /** By the first product. */
  readonly joined: ReadonlyMap<Value, Pair>;
  /** The first product by the second. */
  readonly seconds: ReadonlyMap<Value, Value>;
}

function findPairs(graph: Graph): Pairs {
  const masks = new Map(
    graph.nodes.flatMap((node) =>
      isOperator(insideLimitsOperator, node) && node.outputs[0] !== undefined ? [[node.outputs[0], node] as const] : [],
    ),
  );
  const products = new Map(graph.nodes.flatMap((node) => maskedOf(node, masks)).map((each) => [each.product, each]));
  const consumersOf = consumers(graph);
  const madeBy = producers(graph);
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  const joined = new Map<Value, Pair>();
  const seconds = new Map<Value, Value>();
  for (const second of products.values()) {
    const first = products.get(second.gradient);
    if (first === undefined || first.of !== second.of || outputs.has(first.product) || seconds.has(first.product))
      continue;
    // A limit that is computed may be made after the first product.
    if (second.upper !== undefined && !graph.constants.has(second.upper)) continue;
    const highest = highestOf(graph, madeBy.get(first.of));
    const isSum = (node: Node) =>
      isOperator(dotOperator, node) &&
      node.inputs[0] === first.product &&
      node.inputs[1] === first.of &&
      !first.positive &&
      endsAt(graph, second.upper, highest);
    const others = (consumersOf.get(first.product) ?? []).filter((node) => node.outputs[0] !== second.product);
    if (!others.every(isSum)) continue;
    joined.set(first.product, { first, second, highest: highest === Number.POSITIVE_INFINITY ? undefined : highest });
    seconds.set(second.product, first.product);
  }
  return { joined, seconds };
}

/** Whether a limit excludes the highest value alone, or nothing where there is no highest value. */
function endsAt(graph: Graph, upper: Value | undefined, highest: number | undefined): boolean {
  const limit = upper === undefined ? undefined : graph.constants.get(upper);
  if (limit === undefined || highest === undefined) return highest === Number.POSITIVE_INFINITY;
  const [number = 0] = toNumbers(limit);
  return number === floatBefore(highest);
}

/** The highest value that a ReLU can give, infinity where there is none; undefined: what made it is no ReLU. */
function highestOf(graph: Graph, producer: Node | undefined): number | undefined {
  if (producer === undefined) return undefined;
  if (isOperator(reluOperator, producer)) return Number.POSITIVE_INFINITY;
  const [low, high] = [producer.inputs[1], producer.inputs[2]].map((bound) => {
    const tensor = bound === undefined ? undefined : graph.constants.get(bound);
    return tensor === undefined ? undefined : toNumbers(tensor)[0];
  });
  return isOperator(clipOperator, producer) && low === 0 ? high : undefined;
}

function maskedOf(node: Node, masks: ReadonlyMap<Value, Node>): Masked[] {
  const [product] = node.outputs;
  if (!isOperator(multiplyOperator, node) || product === undefined) return [];
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined) return [];
  const [gradient, mask] = masks.has(b) ? [a, masks.get(b)] : [b, masks.get(a)];
  const of = mask?.inputs[0];
  if (mask === undefined || of === undefined) return [];
  return [{ product, gradient, of, positive: intAttribute(mask, "positive") === 1, upper: mask.inputs[1] }];
}
