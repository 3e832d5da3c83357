import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { plainInput, rowOf } from "../../../src/compile/build/input.ts";
import { makeModel } from "../../../src/models/index.ts";
import { tokenNetwork } from "../../support/training/token-network.ts";

const options = { vocabulary: 4, length: 3, classes: 2, head: "sample" } as const;

describe("data that enter a network as they are", () => {
  it("are floats for a network of floats, and whole numbers for one of tokens", () => {
    const image = makeModel("mlp", { sampleShape: [1, 4, 4], classes: 2 }, randomStream(0, "weights"));
    expect(plainInput(image)).toEqual({ dtype: "float32" });
    expect(plainInput(tokenNetwork(options))).toEqual({ dtype: "int32" });
  });

  it("are rows for several inputs, of floats where one is", () => {
    const parts = [
      { name: "input_ids", shape: [3], start: 0 },
      { name: "attention_mask", shape: [3], start: 3 },
    ];
    expect(plainInput(tokenNetwork({ ...options, mask: "bool" }))).toEqual({ dtype: "int32", parts });
    expect(plainInput(tokenNetwork({ ...options, mask: "float32" }))).toEqual({ dtype: "float32", parts });
  });

  it("lie in a row without gaps", () => {
    expect(
      rowOf([
        { name: "a", shape: [2, 3] },
        { name: "b", shape: [] },
      ]),
    ).toEqual({
      parts: [
        { name: "a", shape: [2, 3], start: 0 },
        { name: "b", shape: [], start: 6 },
      ],
      length: 7,
    });
  });
});
