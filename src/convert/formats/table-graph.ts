/** A table of codes as standard ONNX: the exact form, one Gather. */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { makeTensor } from "../../ir/tensor.ts";
import { cast } from "../../ops/families/cast.ts";
import { gather } from "../../ops/families/shape/indexing.ts";

/** Types that a table may have. */
export type TableType = "uint8" | "int8" | "int32" | "float32";

const arrays = { uint8: Uint8Array, int8: Int8Array, int32: Int32Array, float32: Float32Array } as const;

/** Element `place` of a table for each place; places are integers of any type, from 0. */
export function lookedUp(b: GraphBuilder, places: Value, table: Float64Array, dtype: TableType): Value {
  const constant = b.constant(makeTensor(dtype, [table.length], arrays[dtype].from(table)), "table");
  return gather(b, constant, cast(b, places, "int32"));
}
