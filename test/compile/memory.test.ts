import { describe, expect, it } from "vitest";
import { bytesOf, peakBytes } from "../../src/compile/memory.ts";
import { newBuilder } from "../../src/compile/registry.ts";

const type = { dtype: "float32", shape: [100] } as const;

describe("bytesOf", () => {
  it("counts whole bytes of packed types", () => {
    expect(bytesOf({ dtype: "int4", shape: [3] })).toBe(2);
    expect(bytesOf({ dtype: "float32", shape: [2, 3] })).toBe(24);
    expect(bytesOf({ dtype: "uint8", shape: [] })).toBe(1);
  });
});

describe("peakBytes", () => {
  it("frees a value after its last consumer", () => {
    const builder = newBuilder("chain");
    let value = builder.input("x", type);
    for (let i = 0; i < 10; i++) value = builder.one("Exp", [value]);
    builder.output("y", value);
    // The input, the output, and two values in between: one that is read and one that is written.
    expect(peakBytes(builder.finish())).toBe(4 * 400);
  });

  it("holds a value until a distant consumer", () => {
    const builder = newBuilder("skip");
    const x = builder.input("x", type);
    const early = builder.one("Exp", [x]);
    let value = early;
    for (let i = 0; i < 10; i++) value = builder.one("Exp", [value]);
    builder.output("y", builder.one("Add", [early, value]));
    expect(peakBytes(builder.finish())).toBe(5 * 400);
  });

  it("counts a view as the value that it shows", () => {
    const builder = newBuilder("view");
    const x = builder.input("x", type);
    const made = builder.one("Exp", [x]);
    const shape = builder.constant({ dtype: "int64", shape: [2], data: BigInt64Array.of(10n, 10n) }, "shape");
    builder.output("y", builder.one("Exp", [builder.one("Reshape", [made, shape])]));
    expect(peakBytes(builder.finish())).toBe(3 * 400 + 16);
  });
});
