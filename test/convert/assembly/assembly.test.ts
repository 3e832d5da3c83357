/** Codes given to what the conversion carried in real numbers: which operations that takes, and when it takes none. */
import { describe, expect, it } from "vitest";
import { Assembly, floatForm } from "../../../src/convert/assembly/assembly.ts";
import type { Affine, Data, Rearranged } from "../../../src/convert/assembly/symbolic.ts";
import type { TensorForm } from "../../../src/convert/integer-network.ts";
import { UnsupportedError } from "../../../src/errors.ts";
import { codesForm } from "../../support/convert/integer-operations.ts";

const data: Data = { kind: "data", start: 0, name: "images", shape: [1, 2] };

/** An assembly in which the data are codes with the scale ½ and the zero point 3. */
function started(form: TensorForm = codesForm(3, 0.5)) {
  const assembly = new Assembly(undefined);
  const codes = assembly.codes(assembly.realize(data, form, "images.quantizer"));
  return { assembly, codes };
}

function operators(assembly: Assembly): string[] {
  return assembly.operations.map(({ op, name }) => `${op} ${name}`);
}

describe("an assembly", () => {
  it("quantizes the data once for each form", () => {
    const { assembly, codes } = started();
    expect(assembly.realize(data, codesForm(3, 0.5), "images.quantizer")).toBe(codes.tensor);
    expect(assembly.operations).toEqual([{ op: "QuantizeInput", name: "images.quantizer", output: 0, reciprocal: 2 }]);
    assembly.realize(data, codesForm(3, 0.25), "finer.quantizer");
    expect(operators(assembly)).toEqual(["QuantizeInput images.quantizer", "QuantizeInput finer.quantizer"]);
    expect(() => assembly.realize(data, floatForm, "images")).toThrow(UnsupportedError);
  });

  it("leaves codes of the same form as they are, and requantizes others", () => {
    const { assembly, codes } = started();
    expect(assembly.realize(codes, codesForm(3, 0.5), "same")).toBe(codes.tensor);
    const other = assembly.realize(codes, codesForm(0, 1), "coarser");
    expect(assembly.operations.at(-1)).toEqual({
      op: "Requantize",
      axis: 1,
      name: "coarser",
      output: other,
      low: 0,
      high: 15,
      terms: [{ input: codes.tensor, shift: 0, inputScale: 0.5, gains: Float32Array.of(1) }],
    });
  });

  it("turns limits in real numbers into limits of the codes", () => {
    const { assembly, codes } = started();
    // Codes stand for (q − 3)/2: 0 is the code 3, and 2.2 lies nearest to 4 steps above it.
    const clipped: Affine = { ...assembly.affine(codes), name: "relu", low: 0, high: 2.2 };
    assembly.realize(clipped, codesForm(3, 0.5), "relu.quantizer");
    expect(assembly.operations.at(-1)).toMatchObject({ op: "Requantize", low: 3, high: 7 });
  });

  it("gives the network's output in float", () => {
    const { assembly, codes } = started();
    const logits = { ...assembly.affine(codes), offset: Float64Array.of(1, -1) };
    assembly.realize(logits, floatForm, "logits");
    expect(assembly.operations.at(-1)).toMatchObject({ op: "Dequantize", offset: Float32Array.of(1, -1) });
  });

  it("does at once what commutes with a quantizer where there are codes, and later where there are none", () => {
    const { assembly, codes } = started();
    const reshape = (input: Rearranged["inputs"][number]): Rearranged => ({
      kind: "rearranged",
      name: "flatten",
      shape: [1, 2],
      inputs: [input],
      make: ([id = 0], output) => ({ op: "ReshapeCodes", name: "flatten", input: id, output }),
    });
    expect(assembly.rearranged(reshape(codes)).kind).toBe("codes");
    expect(operators(assembly)).toEqual(["QuantizeInput images.quantizer", "ReshapeCodes flatten"]);
    const later = assembly.rearranged(reshape(assembly.affine(codes)));
    expect(later.kind).toBe("rearranged");
    assembly.realize(later, codesForm(0, 1), "later");
    expect(operators(assembly).slice(2)).toEqual(["Requantize later/before flatten", "ReshapeCodes later"]);
  });

  it("makes wide codes, in steps of a power of two, where no quantizer stands, and says so", () => {
    const { assembly, codes } = started();
    const sum = { ...assembly.affine(codes), name: "sum", offset: Float64Array.of(0.3, 0) };
    const wide = assembly.materialize(sum);
    const { form } = assembly.tensor(wide.tensor);
    expect([form.kind, form.low, form.high]).toEqual(["wide", -(2 ** 22), 2 ** 22]);
    // The codes reach 12 · ½ + 0.3 = 6.3, so that 2^22 steps must reach 8.
    expect(form.scale).toBe(8 / 2 ** 22);
    expect(assembly.materialize(sum)).toBe(wide);
    expect(assembly.notes.map(({ kind, where }) => [kind, where])).toEqual([["wide codes", "sum"]]);
  });

  it("has codes of one constant for an offset of a grid", () => {
    const { assembly, codes } = started({ ...codesForm(0, 0.5), offset: -0.75 });
    const made = assembly.offsetCodes(codes.tensor);
    expect(assembly.operations.at(-1)).toMatchObject({ op: "ConstantCodes", codes: Int32Array.of(-1), output: made });
    expect(assembly.tensor(made ?? -1).form.scale).toBe(0.75);
    expect(assembly.offsetCodes(codes.tensor)).toBe(made);
    const plain = started();
    expect(plain.assembly.offsetCodes(plain.codes.tensor)).toBeUndefined();
  });
});
