/**
 * Two operators over a short table, for quantizers whose levels or thresholds are not evenly spaced: the entry that each
 * element points at, and the sum of the elements that point at each entry.
 *
 * They do not care in which order the engine keeps a tensor. Rows let threads share the work and keep sums short; the
 * engine's GatherElements is five times as fast as its Gather, which copies every element by itself.
 */
import { intAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, type OperatorCall, subbyteDomain, type Value } from "../../ir/graph.ts";
import { filled } from "../../ir/tensor.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import { blockedForm, fromBlocked, toBlocked } from "../../ops/cpu/engine-operators.ts";
import { type Lowering, type OperatorDefinition, requiredInput, typeError } from "../../ops/definition.ts";
import { cast } from "../../ops/families/cast.ts";
import { reduceSum } from "../../ops/families/reduce.ts";
import { gatherElements, scatterElements } from "../../ops/families/shape/indexing.ts";
import { expand, reshape } from "../../ops/families/shape/shape-ops.ts";
import { canBeBlocked } from "../../ops/internal/channel-ops.ts";

/**
 * The entries of a table[n] that the whole numbers of `index` point at, in the shape of `index`. Numbers below 0 count
 * from the table's end.
 */
export function lookUp(builder: GraphBuilder, index: Value, table: Value): Value {
  return builder.one("LookUp", [index, table], {}, { domain: subbyteDomain });
}

/** For each whole number from 0 up to `count`: the sum of the elements of x whose place in `index` holds it. */
export function sumByIndex(builder: GraphBuilder, index: Value, x: Value, count: number): Value {
  return builder.one("SumByIndex", [index, x], { count }, { domain: subbyteDomain });
}

/** Rows that the elements can be split into: a power of two. */
function rowsOf(count: number): number {
  let rows = 1;
  while (rows < 16 && count % (2 * rows) === 0) rows *= 2;
  return rows;
}

const arrangeLookUp: Lowering = (context) => {
  const { builder } = context;
  const [index, table] = [context.input(0), context.input(1)];
  const blocked = blockedForm(builder, index);
  const count = elementCount(index.type.shape);
  const [rows, entries] = [rowsOf(count), table.type.shape[0] ?? 0];
  const places = reshape(builder, cast(builder, blocked ?? index, "int32"), [rows, count / rows]);
  const copies = expand(builder, reshape(builder, table, [1, entries]), [rows, entries]);
  const found = reshape(builder, gatherElements(builder, copies, places, 1), index.type.shape);
  return [blocked === undefined ? found : fromBlocked(builder, found, index.type.shape[1] ?? 0)];
};

const arrangeSum: Lowering = (context) => {
  const { builder, node, target } = context;
  const given = [context.input(0), context.input(1)] as const;
  const isBlocked = given.some((value) => blockedForm(builder, value) !== undefined);
  const order = (value: Value) =>
    isBlocked && canBeBlocked(value, target.blockSize) ? toBlocked(builder, value) : value;
  const count = elementCount(given[0].type.shape);
  const [rows, entries] = [rowsOf(count), intAttribute(node, "count")];
  const places = reshape(builder, cast(builder, order(given[0]), "int32"), [rows, count / rows]);
  const values = reshape(builder, order(given[1]), [rows, count / rows]);
  const zeros = builder.constant(filled([rows, entries], 0), "zeros");
  const sums = scatterElements(builder, zeros, places, values, 1, "add");
  return [reduceSum(builder, sums, [0], { keepDimensions: false })];
};

function inferLookUp(call: OperatorCall): TensorType[] {
  const [index, table] = [requiredInput(call, 0), requiredInput(call, 1)];
  if (table.shape.length !== 1) throw typeError(call, "the table must have one axis");
  return [{ dtype: table.dtype, shape: index.shape }];
}

/** Look-ups in small tables, and sums by index. */
export const tableOperators: readonly OperatorDefinition[] = [
  { op: "LookUp", domain: subbyteDomain, infer: inferLookUp, arrange: arrangeLookUp },
  {
    op: "SumByIndex",
    domain: subbyteDomain,
    infer: (call) => [{ dtype: requiredInput(call, 1).dtype, shape: [intAttribute(call, "count")] }],
    arrange: arrangeSum,
  },
];
