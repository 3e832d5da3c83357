/**
 * The Attention operator (https://onnx.ai/onnx/operators/onnx__Attention.html) as the operators that it stands for:
 * softmax(cap(Q·Kᵀ·scale) + bias)·V, where the bias keeps queries from keys.
 */

import { UnsupportedError } from "../../errors.ts";
import { floatAttribute, intAttribute } from "../../ir/attributes.ts";
import { times } from "../../ir/size.ts";
import { float32Scalar, float32Tensor, int64Tensor, makeTensor, toNumbers } from "../../ir/tensor.ts";
import { fixedSizes, int64Slot, type RewriteContext, showSizes } from "./context.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "./slots.ts";

/** The score of a forbidden key. Minus infinity would make rows without any key NaN, and their gradients too. */
const lowest = -3e38;
/** Biases below this forbid. */
const forbidding = -1e38;

/** The outputs: the result, both present caches, and the scores where they are requested. */
export function attention(e: RewriteContext, node: SourceNode): readonly (Slot | undefined)[] {
  const [q, k, v, mask, pastKey, pastValue, lengths] = node.inputs;
  if (q === undefined || k === undefined || v === undefined) throw refusal(node, "a missing input");
  const queryHeads = intAttribute(node, "q_num_heads", 0);
  const keyHeads = intAttribute(node, "kv_num_heads", queryHeads);
  const query = inHeads(e, q, queryHeads, node);
  const key = withPast(e, pastKey, inHeads(e, k, keyHeads, node));
  const value = withPast(e, pastValue, inHeads(e, v, keyHeads, node));
  const [heads = 1, rows = 1, width = 1] = fixedSizes(node, typeOf(query).shape.slice(1));
  const [columns = 1] = fixedSizes(node, typeOf(key).shape.slice(2));
  const scale = floatAttribute(node, "scale", 1 / Math.sqrt(width));
  const turned = e.one("Transpose", [repeated(e, key, heads, node)], { perm: [0, 1, 3, 2] });
  const raw = e.one("MatMul", [e.one("Mul", [query, number(e, scale)]), turned]);
  const capped = softCap(e, raw, floatAttribute(node, "softcap", 0));
  const [past = 0] = pastKey === undefined ? [] : fixedSizes(node, typeOf(pastKey).shape.slice(2));
  const sight = { rows, columns, past, lengths, ...windowOf(node) };
  const bias = biasOf(e, mask, sight, lowest);
  const probabilities = e.one("Softmax", [bias === undefined ? capped : e.one("Add", [capped, bias])], { axis: -1 });
  const seen = bias === undefined ? undefined : rowsThatSee(e, bias);
  const sightless = (slot: Slot) => (seen === undefined ? slot : e.one("Mul", [slot, seen]));
  const result = sightless(e.one("MatMul", [probabilities, repeated(e, value, heads, node)]));
  const outputs = [typeOf(q).shape.length === 4 ? result : inWidth(e, result), key, value];
  if (node.outputCount < 4) return outputs;
  switch (intAttribute(node, "qk_matmul_output_mode", 0)) {
    case 0:
      return [...outputs, raw];
    case 1:
      return [...outputs, capped];
    case 2: {
      const shown = biasOf(e, mask, sight, Number.NEGATIVE_INFINITY);
      return [...outputs, shown === undefined ? capped : e.one("Add", [capped, shown])];
    }
    default:
      return [...outputs, sightless(probabilities)];
  }
}

function refusal(node: SourceNode, what: string): UnsupportedError {
  return new UnsupportedError(`Attention with ${what} is not supported`, {
    where: node.where,
    remedy: "Export the model with an older opset, in which attention is written out.",
  });
}

function number(e: RewriteContext, value: number): Slot {
  return e.constant(float32Scalar(value));
}

/** [batch, length, heads·size] as [batch, heads, length, size]; four axes stay as they are. */
function inHeads(e: RewriteContext, x: Slot, heads: number, node: SourceNode): Slot {
  const { shape } = typeOf(x);
  if (shape.length === 4) return x;
  const [batch = 1, length = 1] = shape;
  const [width = 1] = fixedSizes(node, shape.slice(2));
  if (shape.length !== 3 || heads < 1 || width % heads !== 0) {
    throw refusal(node, `${heads} heads over [${showSizes(shape)}]`);
  }
  return e.one("Transpose", [e.reshape(x, [batch, length, heads, width / heads])], { perm: [0, 2, 1, 3] });
}

/** [batch, heads, length, size] as [batch, length, heads·size]. */
function inWidth(e: RewriteContext, x: Slot): Slot {
  const [batch = 1, heads = 1, length = 1, size = 1] = typeOf(x).shape;
  return e.reshape(e.one("Transpose", [x], { perm: [0, 2, 1, 3] }), [batch, length, times(heads, size)]);
}

function withPast(e: RewriteContext, past: Slot | undefined, x: Slot): Slot {
  return past === undefined ? x : e.one("Concat", [past, x], { axis: 2 });
}

/** Keys or values whose heads are shared by several heads of queries, once for each. */
function repeated(e: RewriteContext, x: Slot, heads: number, node: SourceNode): Slot {
  const [batch = 1, , length = 1, size = 1] = typeOf(x).shape;
  const [own = 1] = fixedSizes(node, typeOf(x).shape.slice(1, 2));
  if (own === heads) return x;
  if (heads % own !== 0) throw refusal(node, `${heads} heads of queries and ${own} of keys`);
  const apart = e.reshape(x, [batch, own, 1, length, size]);
  return e.reshape(e.expand(apart, [batch, own, heads / own, length, size]), [batch, heads, length, size]);
}

function softCap(e: RewriteContext, x: Slot, cap: number): Slot {
  if (cap === 0) return x;
  return e.one("Mul", [e.one("Tanh", [e.one("Mul", [x, number(e, 1 / cap)])]), number(e, cap)]);
}

/** The window of keys that a query may see besides the mask: how far before and after its own position, if limited. */
interface Sight {
  readonly rows: number;
  readonly columns: number;
  /** Keys of the cache, which are before the first query. */
  readonly past: number;
  /** For each sample, how many keys there are; the others are padding. */
  readonly lengths: Slot | undefined;
  readonly before: number;
  readonly after: number;
}

function windowOf(node: SourceNode): Pick<Sight, "before" | "after"> {
  const limit = (name: string) => {
    const size = intAttribute(node, name, -1);
    return size < 0 ? Number.POSITIVE_INFINITY : size;
  };
  const after = limit("right_window_size");
  return { before: limit("left_window_size"), after: intAttribute(node, "is_causal", 0) === 1 ? 0 : after };
}

/** The term that is added to the scores: `low` where a key must not be seen; undefined where every key may be. */
function biasOf(e: RewriteContext, mask: Slot | undefined, sight: Sight, low: number): Slot | undefined {
  const given = mask === undefined ? undefined : maskBias(e, mask, sight.columns, low);
  const allowed = sight.lengths === undefined ? fixedSight(e, sight) : sightByLength(e, sight, sight.lengths);
  if (allowed === undefined) return given;
  return e.one("Where", [allowed, given ?? number(e, 0), number(e, low)]);
}

/** A mask that is too short forbids the keys beyond it. */
function maskBias(e: RewriteContext, mask: Slot, columns: number, low: number): Slot {
  const { dtype, shape } = typeOf(mask);
  const added =
    dtype === "bool"
      ? e.one("Where", [mask, number(e, 0), number(e, low)])
      : low === lowest
        ? e.one("Max", [mask, number(e, low)])
        : mask;
  const last = shape.at(-1);
  const missing = typeof last === "number" ? columns - last : 0;
  if (missing <= 0) return added;
  const pads = [...new Array<number>(2 * shape.length - 1).fill(0), missing];
  return e.one("Pad", [added, int64Slot(e, pads), number(e, low)]);
}

/** The position of key j relative to query i: j - i. */
function distances({ rows, columns }: Sight): number[] {
  return Array.from({ length: rows * columns }, (_, n) => (n % columns) - Math.floor(n / columns));
}

function fixedSight(e: RewriteContext, sight: Sight): Slot | undefined {
  const { rows, columns, past, before, after } = sight;
  const allowed = distances(sight).map((distance) => distance <= past + after && distance >= past - before);
  if (allowed.every(Boolean)) return undefined;
  return e.constant(makeTensor("bool", [rows, columns], Uint8Array.from(allowed, Number)), "sight");
}

/** The queries are the last of each sample, so their places depend on its length. */
function sightByLength(e: RewriteContext, sight: Sight, lengths: Slot): Slot {
  const { rows, columns, before, after } = sight;
  const [batch = 1] = typeOf(lengths).shape;
  const length = e.reshape(e.one("Cast", [lengths], { to: 7 }), [batch, 1, 1, 1]);
  const keys = e.constant(int64Tensor(Array.from({ length: columns }, (_, j) => j)));
  const place = e.constant(int64Tensor(distances(sight), [rows, columns]));
  const from = (shift: number) => e.one("Add", [length, e.constant(int64Tensor([shift - rows], []))]);
  const rules = [e.one("Less", [keys, length])];
  if (Number.isFinite(after)) rules.push(e.one("LessOrEqual", [place, from(after)]));
  if (Number.isFinite(before)) rules.push(e.one("GreaterOrEqual", [place, from(-before)]));
  return rules.reduce((all, rule) => e.one("And", [all, rule]));
}

/** 1 for a query that sees a key, 0 for others, whose result is zero; undefined where all are known to see one. */
function rowsThatSee(e: RewriteContext, bias: Slot): Slot | undefined {
  const known = tensorOf(bias);
  if (known !== undefined) {
    const columns = known.shape.at(-1) ?? 1;
    const values = toNumbers(known);
    const rows = Array.from({ length: values.length / columns }, (_, row) =>
      Number(values.slice(row * columns, (row + 1) * columns).some((value) => value > forbidding)),
    );
    if (rows.every((sees) => sees === 1)) return undefined;
    return e.constant(float32Tensor([...known.shape.slice(0, -1), 1], rows));
  }
  const best = e.one("ReduceMax", [bias, int64Slot(e, [-1])], { keepdims: 1 });
  return e.one("Cast", [e.one("Greater", [best, number(e, forbidding)])], { to: 1 });
}
