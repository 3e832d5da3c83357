/** Tables, products, and the largest or smallest of codes, in plain integers. */
import type { ExtremumCodes, IntegerTensor, TableCodes } from "../integer-network.ts";
import { channelOf, type Elements, int32 } from "./numbers.ts";

/** y = table[q − low], of the table of its channel where there are several. */
export function interpretTable(
  { low, axis, tables, table }: TableCodes,
  x: Float64Array,
  { shape }: IntegerTensor,
): Float64Array {
  const entries = table.length / tables;
  const start = (i: number): number => (tables === 1 ? 0 : channelOf(i, shape, axis) * entries);
  return x.map((code, i) => table[start(i) + code - low] ?? Number.NaN);
}

/** Products of centred codes; an axis of one element is repeated. */
export function interpretProduct(factors: readonly Elements[], output: IntegerTensor): Float64Array {
  return broadcast(factors, output, (codes) => {
    const product = codes.reduce((all, code, f) => all * (code - (factors[f]?.tensor.form.zeroPoint ?? 0)), 1);
    return int32(product, output.name);
  });
}

/** The largest or smallest code at each place; an axis of one element is repeated. */
export function interpretExtremum(
  { of }: ExtremumCodes,
  inputs: readonly Elements[],
  output: IntegerTensor,
): Float64Array {
  return broadcast(inputs, output, (codes) => (of === "largest" ? Math.max(...codes) : Math.min(...codes)));
}

/** A function of the codes at one place of all operands. */
function broadcast(
  operands: readonly Elements[],
  { shape }: IntegerTensor,
  of: (codes: readonly number[]) => number,
): Float64Array {
  const count = shape.reduce((product, size) => product * size, 1);
  return Float64Array.from({ length: count }, (_, i) => {
    let rest = i;
    const places = operands.map(() => ({ place: 0, stride: 1 }));
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      const position = rest % size;
      rest = Math.floor(rest / size);
      places.forEach((each, f) => {
        const own = operands[f]?.tensor.shape[axis] ?? 1;
        each.place += own === 1 ? 0 : position * each.stride;
        each.stride *= own;
      });
    }
    return of(operands.map(({ data }, f) => data[places[f]?.place ?? 0] ?? 0));
  });
}
