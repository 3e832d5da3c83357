/** Tables of codes and the largest of codes as standard ONNX: a table is one Gather. */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { makeTensor } from "../../ir/tensor.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, maximum, minimum } from "../../ops/families/elementwise.ts";
import { gather } from "../../ops/families/shape/indexing.ts";

/** Types that a table may have. */
export type TableType = "uint8" | "int8" | "int32" | "float32";

const arrays = { uint8: Uint8Array, int8: Int8Array, int32: Int32Array, float32: Float32Array } as const;

/** The entries of a table in the type that they are stored in. */
export interface StoredTable {
  /** The axis of the channels. */
  readonly axis: number;
  /** How many tables: one, or one for each channel. */
  readonly tables: number;
  readonly entries: Float64Array;
  readonly dtype: TableType;
}

/** Element `place` of a table, or of its channel's, for each place; places are integers of any type, from 0. */
export function lookedUp(b: GraphBuilder, places: Value, { axis, tables, entries, dtype }: StoredTable): Value {
  const constant = b.constant(makeTensor(dtype, [entries.length], arrays[dtype].from(entries)), "table");
  const indices = cast(b, places, "int32");
  if (tables === 1) return gather(b, constant, indices);
  const starts = Int32Array.from({ length: tables }, (_, k) => k * (entries.length / tables));
  const shape = [tables, ...places.type.shape.slice(axis + 1).map(() => 1)];
  return gather(b, constant, add(b, indices, b.constant(makeTensor("int32", shape, starts), "starts")));
}

/** The largest or smallest of values at each place. */
export function extremum(b: GraphBuilder, of: "largest" | "smallest", values: readonly Value[]): Value {
  const combine = of === "largest" ? maximum : minimum;
  return values.reduce((one, other) => combine(b, one, other));
}
