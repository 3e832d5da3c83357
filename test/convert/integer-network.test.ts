/** What passes ask of the operations of an integer network: the tensors that they read and make, and which leave sums. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type IntegerOperation,
  inputsOf,
  isIntegerLayer,
  isSumming,
  producerOf,
  renumbered,
  summingProducer,
  type Term,
} from "../../src/convert/integer-network.ts";
import { weightOf } from "../support/convert/integer-operations.ts";

const window = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] };
const weight = weightOf([1, 1], [3]);
const name = "x";
const resampled = { taps: 1, places: Int32Array.of(0), weights: Int32Array.of(1) };

function termsOf(inputs: readonly number[]): readonly Term[] {
  return inputs.map((input) => ({ input, shift: 0, inputScale: 1, gains: Float32Array.of(1) }));
}

/** One operation of every kind, of some tensors, with the tensors that it reads. */
function everyKind(
  first: number,
  more: readonly number[],
  output: number,
): { readonly [Kind in IntegerOperation["op"]]: readonly [operation: IntegerOperation, reads: readonly number[]] } {
  const all = [first, ...more];
  const [second = first] = more;
  const terms = termsOf(all);
  return {
    QuantizeInput: [{ op: "QuantizeInput", name, output, reciprocal: 1 }, []],
    ReadIntegers: [{ op: "ReadIntegers", name, output, start: 3 }, []],
    GatherRows: [{ op: "GatherRows", name, input: first, output, rows: Int32Array.of(1, 2), size: 1 }, [first]],
    ConstantCodes: [{ op: "ConstantCodes", name, output, codes: Int32Array.of(1) }, []],
    IntegerConv: [{ op: "IntegerConv", name, input: first, output, weight, group: 1, ...window }, [first]],
    IntegerGemm: [{ op: "IntegerGemm", name, input: first, output, weight }, [first]],
    SumPool: [{ op: "SumPool", name, input: first, output, ...window }, [first]],
    ResampleSums: [{ op: "ResampleSums", name, input: first, output, axes: [resampled, resampled] }, [first]],
    MaxPoolCodes: [{ op: "MaxPoolCodes", name, input: first, output, ...window }, [first]],
    IntegerMatMul: [{ op: "IntegerMatMul", name, output, inputs: [first, second] }, [first, second]],
    SoftmaxCodes: [
      { op: "SoftmaxCodes", name, output, inputs: [first, second], axis: 1, table: Int32Array.of(1) },
      [first, second],
    ],
    NormalizeCodes: [
      { op: "NormalizeCodes", name, output, input: first, size: 1, isCentred: true, epsilon: 1 },
      [first],
    ],
    Requantize: [{ op: "Requantize", name, output, axis: 1, terms, low: 0, high: 1 }, all],
    Dequantize: [{ op: "Dequantize", name, output, axis: 1, terms }, all],
    ReshapeCodes: [{ op: "ReshapeCodes", name, input: first, output }, [first]],
    MoveCodes: [
      { op: "MoveCodes", name, input: first, output, places: [Int32Array.of(1, -1), Int32Array.of(0)], fill: 2 },
      [first],
    ],
    MultiplyCodes: [{ op: "MultiplyCodes", name, inputs: all, output }, all],
    TableCodes: [
      { op: "TableCodes", name, input: first, output, low: 0, axis: 1, tables: 1, table: Float64Array.of(3, 1) },
      [first],
    ],
    ExtremumCodes: [{ op: "ExtremumCodes", name, of: "largest", inputs: all, output }, all],
    ConcatCodes: [{ op: "ConcatCodes", name, inputs: all, output, axis: 1 }, all],
  };
}

const tensor = fc.nat(1000);
const kinds = fc
  .record({ first: tensor, more: fc.array(tensor, { maxLength: 3 }), output: tensor })
  .map(({ first, more, output }) => ({ output, operations: Object.values(everyKind(first, more, output)) }));

describe("the operations of an integer network", () => {
  it("say which tensors they read, whatever their kind", () => {
    fc.assert(
      fc.property(kinds, ({ operations }) => {
        expect(operations.map(([operation]) => inputsOf(operation))).toEqual(operations.map(([, reads]) => reads));
      }),
    );
  });

  it("are renumbered in what they read and make, and in nothing else", () => {
    const moved = (id: number): number => 2 * id + 7;
    const back = (id: number): number => (id - 7) / 2;
    fc.assert(
      fc.property(kinds, ({ operations, output }) => {
        for (const [operation, reads] of operations) {
          const other = renumbered(operation, moved);
          expect(inputsOf(other)).toEqual(reads.map(moved));
          expect(other.output).toBe(moved(output));
          expect(renumbered(other, back)).toEqual(operation);
        }
      }),
    );
  });

  it("have weights where they are layers, and leave sums where they are layers or add up a window", () => {
    const operations = Object.values(everyKind(0, [1], 2)).map(([operation]) => operation);
    expect(operations.filter(isIntegerLayer).map(({ op }) => op)).toEqual(["IntegerConv", "IntegerGemm"]);
    expect(operations.filter(isSumming).map(({ op }) => op)).toEqual([
      "IntegerConv",
      "IntegerGemm",
      "SumPool",
      "ResampleSums",
      "IntegerMatMul",
    ]);
  });

  it("are found by what they make", () => {
    const { IntegerGemm: layer, Requantize: codes } = everyKind(0, [], 1);
    const operations = [layer[0], renumbered(codes[0], (id) => id + 1)];
    expect(producerOf({ operations }, 2)).toBe(operations[1]);
    expect(producerOf({ operations }, 0)).toBeUndefined();
    expect(summingProducer({ operations }, 1)).toBe(layer[0]);
    expect(summingProducer({ operations }, 2)).toBeUndefined();
  });
});
