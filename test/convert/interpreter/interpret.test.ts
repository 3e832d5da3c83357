/** The reference interpreter on operations whose results are worked out by hand, from docs/integer.md. */
import { describe, expect, it } from "vitest";
import type { IntegerConv, IntegerOperation, Requantize, TensorForm } from "../../../src/convert/integer-network.ts";
import { interpret } from "../../../src/convert/interpreter/interpret.ts";
import { codesForm, oneOperation, weightOf } from "../../support/convert/integer-operations.ts";

/** Centred codes go in; the result of the operation comes out. */
function run(
  operation: IntegerOperation,
  shapes: { readonly input: readonly number[]; readonly output: readonly number[] },
  centred: readonly number[],
  forms: { readonly input?: TensorForm; readonly output?: TensorForm } = {},
): number[] {
  const network = oneOperation(operation, shapes, { input: codesForm(0), ...forms });
  return [...(interpret(network, centred)[1] ?? [])];
}

const window = { kernel: [2, 2], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] };
const links = { name: "x", input: 0, output: 1 };
const square = [1, 1, 3, 3];
const oneToNine = [1, 2, 3, 4, 5, 6, 7, 8, 9];

describe("layers", () => {
  const conv: IntegerConv = {
    op: "IntegerConv",
    ...links,
    ...window,
    group: 1,
    weight: weightOf([1, 1, 2, 2], [1, 2, 3, -4]),
  };

  it("sum products over each window", () => {
    // 1·1 + 2·2 + 4·3 − 5·4 = −3, and one more of each code adds 1 + 2 + 3 − 4 = 2.
    expect(run(conv, { input: square, output: [1, 1, 2, 2] }, oneToNine)).toEqual([-3, -1, 3, 5]);
  });

  it("centre codes by the zero point, and add nothing for padding", () => {
    const padded = { ...conv, pads: [1, 1, 0, 0] };
    const form = { input: codesForm(5) };
    // The first window holds the code 1 alone, under the weight −4.
    expect(run(padded, { input: square, output: [1, 1, 3, 3] }, oneToNine, form)[0]).toBe(-4);
  });

  it("step by strides and dilations", () => {
    const wide = { ...conv, dilations: [2, 2] };
    // 1·1 + 3·2 + 7·3 − 9·4.
    expect(run(wide, { input: square, output: [1, 1, 1, 1] }, oneToNine)).toEqual([-8]);
    const strided = { ...conv, strides: [2, 2], kernel: [1, 1], weight: weightOf([1, 1, 1, 1], [2]) };
    expect(run(strided, { input: square, output: [1, 1, 2, 2] }, oneToNine)).toEqual([2, 6, 14, 18]);
  });

  it("keep groups apart", () => {
    const grouped = { ...conv, group: 2, kernel: [1, 1], weight: weightOf([2, 1, 1, 1], [3, -1]) };
    expect(run(grouped, { input: [1, 2, 1, 2], output: [1, 2, 1, 2] }, [1, 2, 3, 4])).toEqual([3, 6, -3, -4]);
  });

  it("multiply rows of a matrix", () => {
    const weight = weightOf([2, 3], [1, 0, -1, 2, 2, 2]);
    const gemm = { op: "IntegerGemm" as const, ...links, weight };
    expect(run(gemm, { input: [1, 3], output: [1, 2] }, [4, 5, 6])).toEqual([-2, 30]);
  });
});

describe("windows", () => {
  it("take the largest code and the sum of centred codes, without the padding", () => {
    const pads = [1, 1, 0, 0];
    const shapes = { input: [1, 1, 2, 2], output: [1, 1, 2, 2] };
    const form = { input: codesForm(5) };
    const centred = [-1, -2, -3, 4];
    expect(run({ op: "MaxPoolCodes", ...links, ...window, pads }, shapes, centred, form)).toEqual([4, 4, 4, 9]);
    expect(run({ op: "SumPool", ...links, ...window, pads }, shapes, centred, form)).toEqual([-1, -3, -4, -2]);
  });

  it("concatenate along an axis", () => {
    const concat = { op: "ConcatCodes" as const, name: "x", inputs: [0, 0], output: 1 };
    const [input, values] = [
      [1, 2, 1, 2],
      [1, 2, 3, 4],
    ];
    expect(run({ ...concat, axis: 1 }, { input, output: [1, 4, 1, 2] }, values)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    expect(run({ ...concat, axis: 3 }, { input, output: [1, 2, 1, 4] }, values)).toEqual([1, 2, 1, 2, 3, 4, 3, 4]);
  });
});

describe("requantization", () => {
  const halves: Requantize = {
    op: "Requantize",
    name: "x",
    output: 1,
    axis: 1,
    low: 0,
    high: 15,
    terms: [{ input: 0, shift: 0, inputScale: 0.5, gains: Float32Array.of(1) }],
  };
  const shape = [1, 6];
  const shapes = { input: shape, output: shape };

  it("rounds halves to the even code, then adds the zero point and limits", () => {
    const output = codesForm(3);
    expect(run(halves, shapes, [0, 1, 2, 3, 5, 15], { output })).toEqual([3, 3, 4, 5, 5, 11]);
    expect(run({ ...halves, low: 4, high: 5 }, shapes, [0, 1, 2, 3, 5, 15], { output })).toEqual([4, 4, 4, 5, 5, 5]);
  });

  it("shifts, adds the bias of the channel, and adds terms and offset", () => {
    const [term] = halves.terms;
    if (term === undefined) throw new Error("no term");
    const terms = [{ ...term, shift: 2, bias: Int32Array.of(1, 0, 0, 0, 0, -3) }, term];
    const offset = Float32Array.of(0, 0, 0, 0, 0, 0.25);
    // ((q·4 + bias)·½ + q·½: 2.5·q, then the bias' half.
    expect(run({ ...halves, terms, offset }, shapes, [1, 1, 2, 0, 4, 2], { output: codesForm(0) })).toEqual([
      3, 2, 5, 0, 10, 4,
    ]);
  });

  it("takes the nearest level of a grid with gaps, the lower of two", () => {
    const output = { ...codesForm(0), levels: [0, 1, 2, 4, 8] };
    expect(run(halves, shapes, [1, 3, 6, 7, 12, 15], { output })).toEqual([0, 1, 2, 4, 4, 8]);
  });

  it("in fixed point rounds halves up", () => {
    const network = oneOperation(halves, shapes, { input: codesForm(0), output: codesForm(0) });
    const [, fixed] = interpret(network, [0, 1, 2, 3, 5, 15], { arithmetic: "fixed" });
    expect([...(fixed ?? [])]).toEqual([0, 1, 1, 2, 3, 8]);
  });
});
