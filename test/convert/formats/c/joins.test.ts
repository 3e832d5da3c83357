/** The C program copies nothing that it can make or leave in place: parts of concatenations, and elements that lie in order. */

import { describe, expect, it } from "vitest";
import { planArena } from "../../../../src/convert/formats/c/arena.ts";
import { partsOfJoins, withPartsEarly } from "../../../../src/convert/formats/c/joins.ts";
import { buildCProgram } from "../../../../src/convert/formats/c/program.ts";
import { viewOf } from "../../../../src/convert/formats/c/views.ts";
import type { IntegerNetwork, IntegerOperation, TensorForm } from "../../../../src/convert/integer-network.ts";
import { sameOperations } from "../../../../src/convert/same-operations.ts";

const codes: TensorForm = { kind: "codes", low: 0, high: 255, scale: 1, zeroPoint: 0 };
const identity = Float64Array.from({ length: 256 }, (_, i) => i);
const table = (input: number, output: number, entries = identity): IntegerOperation => ({
  op: "TableCodes",
  name: `table ${output}`,
  input,
  output,
  low: 0,
  axis: 1,
  tables: 1,
  table: entries,
});
const input: IntegerOperation = { op: "QuantizeInput", name: "x", output: 0, reciprocal: 1 };

function network(shapes: readonly (readonly number[])[], operations: readonly IntegerOperation[]): IntegerNetwork {
  return {
    name: "test",
    input: { name: "x", sampleShape: shapes[0]?.slice(1) ?? [], dtype: "float32" },
    tensors: shapes.map((shape, id) => ({ id, name: `t${id}`, shape, form: codes })),
    operations,
    outputs: [{ name: "y", tensor: shapes.length - 1 }],
    notes: [],
  };
}

const join = (inputs: readonly number[], output: number): IntegerOperation => ({
  op: "ConcatCodes",
  name: "join",
  inputs,
  output,
  axis: 1,
});

describe("a concatenation", () => {
  it("has a function where it copies, although an equal one is made in place", () => {
    const given = network(
      [
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 8],
        [1, 8],
        [1, 16],
      ],
      [input, table(0, 1), table(0, 2), join([1, 2], 3), join([0, 0], 4), join([3, 4], 5)],
    );
    const { source } = buildCProgram(given);
    const called = [...source.matchAll(/^ +run_(\d+)\(/gm)].map(([, id]) => id);
    const written = [...source.matchAll(/^static void run_(\d+)\(/gm)].map(([, id]) => id);
    expect(called.length).toBeGreaterThan(3);
    expect(called.filter((id) => !written.includes(id))).toEqual([]);
  });

  it("has its parts made in it, as soon as they can be", () => {
    // The second part is listed after an operation that does not need it.
    const given = network(
      [
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 8],
      ],
      [input, table(0, 1), table(1, 2), table(2, 3), table(1, 4), join([4, 3], 5)],
    );
    const early = withPartsEarly(given);
    expect(early.operations.map(({ output }) => output)).toEqual(
      [0, 1, 2, 3, 4, 5].sort((a, b) => order(a) - order(b)),
    );
    const { placements, joined } = planArena(early);
    expect([...joined]).toEqual([5]);
    const whole = placements.get(5)?.offset ?? -1;
    expect([placements.get(4)?.offset, placements.get(3)?.offset]).toEqual([whole, whole + 4]);
    for (const id of [0, 1, 2]) expect(overlap(placements.get(id), placements.get(5))).toBe(false);
  });

  it("copies a part that it has twice, that is an input of another one, or that is cut from something", () => {
    const cut: IntegerOperation = {
      op: "MoveCodes",
      name: "cut",
      input: 0,
      output: 1,
      places: [Int32Array.of(2, 3)],
      fill: 0,
    };
    expect(
      partsOfJoins(
        network(
          [
            [1, 4],
            [1, 8],
          ],
          [input, join([0, 0], 1)],
        ),
      ).size,
    ).toBe(0);
    expect(
      partsOfJoins(
        network(
          [
            [1, 4],
            [1, 2],
            [1, 6],
          ],
          [input, cut, join([0, 1], 2)],
        ),
      ).size,
    ).toBe(0);
    const twice = network(
      [
        [1, 4],
        [1, 4],
        [1, 8],
        [1, 8],
      ],
      [input, table(0, 1), join([0, 1], 2), join([1, 0], 3)],
    );
    expect([...partsOfJoins(twice).values()].map(({ whole }) => whole)).toEqual([2, 2]);
  });
});

/** Table 4, which only the concatenation reads, moves in front of table 2. */
function order(id: number): number {
  return [0, 1, 2.5, 3, 2, 4][id] ?? 0;
}

function overlap(
  a: { readonly offset: number; readonly bytes: number } | undefined,
  b: { readonly offset: number; readonly bytes: number } | undefined,
): boolean {
  if (a === undefined || b === undefined) return false;
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

describe("elements that lie in order", () => {
  const move = (...places: number[][]): IntegerOperation => ({
    op: "MoveCodes",
    name: "cut",
    input: 0,
    output: 1,
    places: places.map((list) => Int32Array.from(list)),
    fill: 0,
  });
  it.each([
    ["a row", move([6], [0, 1, 2]), 6],
    ["two rows", move([3, 6], [0, 1, 2]), 3],
    ["a column", move([1, 4], [0]), undefined],
    ["reversed", move([2, 1, 0]), undefined],
    ["padded", move([-1, 0, 1]), undefined],
  ] as const)("%s", (_, operation, start) => {
    const view = viewOf({ operations: [input, operation] }, operation);
    expect(view?.start).toBe(start);
  });

  it("of a constant do not lie in the buffer", () => {
    const constant: IntegerOperation = { op: "ConstantCodes", name: "c", output: 0, codes: Int32Array.of(1, 2, 3) };
    expect(viewOf({ operations: [constant] }, move([0, 1]))).toBeUndefined();
  });
});

it("operations that compute the same have one function", () => {
  const other = identity.map((value) => 255 - value);
  const operations = [input, table(0, 1), table(1, 2), table(2, 3, other), table(3, 4)];
  const same = sameOperations(
    network(
      [
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 4],
        [1, 4],
      ],
      operations,
    ),
  );
  expect([...same.values()]).toEqual([0, 1, 1, 3, 1]);
  const wider = sameOperations(
    network(
      [
        [1, 4],
        [1, 4],
        [1, 8],
      ],
      [input, table(0, 1), table(0, 2)],
    ),
  );
  expect([...wider.values()]).toEqual([0, 1, 2]);
});
