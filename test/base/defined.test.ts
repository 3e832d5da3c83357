import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defined } from "../../src/base/defined.ts";

describe("the defined fields of an object", () => {
  it("are all but those that are undefined, in their order", () => {
    const value = fc.oneof(fc.constant(undefined), fc.constant(null), fc.boolean(), fc.integer(), fc.string());
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (fields) => {
        const kept = Object.entries(fields).filter(([, field]) => field !== undefined);
        expect(Object.entries(defined(fields))).toEqual(kept);
      }),
    );
  });

  it("suit exact optional properties", () => {
    const limit = Math.random() < 2 ? undefined : 3;
    const options: { readonly name: string; readonly limit?: number } = defined({ name: "a", limit });
    expect("limit" in options).toBe(false);
    expect(options.name).toBe("a");
  });
});
