/** What programs import: conversion with the data of the training, and the files of every format. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import {
  convert,
  inputOf,
  type QuantizedNetwork,
  recipeOf,
  resolveTrainingConfig,
  writeInteger,
} from "../../../src/browser.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import type { ConvertedFile } from "../../../src/convert/formats/definition.ts";
import { formats } from "../../../src/convert/formats/files.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { ConfigError, exitCodes } from "../../../src/errors.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";

const network: QuantizedNetwork = quantize(
  makeModel("lenet", { sampleShape: [1, 28, 28], classes: 4 }, randomStream(0, "weights")),
  presetNamed("lsq", { weightBits: 4, activationBits: 4 }),
);
const train = inMemoryDataset({
  name: "images",
  samples: Uint8Array.from({ length: 8 * 784 }, (_, i) => (i * 7) % 256),
  sampleShape: [1, 28, 28],
  targets: Int32Array.from({ length: 8 }, (_, i) => i % 4),
  target: { kind: "classes", classes: ["a", "b", "c", "d"] },
});

/** A call of a program without types. */
function untyped(options: unknown): unknown {
  return Reflect.apply(convert, undefined, [network, options]);
}

/** Names and contents, which are compared faster as text. */
function contentOf(files: readonly ConvertedFile[]): string[] {
  return files.map(({ name, parts }) => `${name} ${Buffer.concat(parts).toString("latin1")}`);
}

describe("convert", () => {
  it("takes the type and the normalization from the data", () => {
    const expected = convert(network, { input: inputOf(train) });
    expect(convert(network, { data: train })).toEqual(expected);
    expect(convert(network, { data: { train, test: train } })).toEqual(expected);
  });

  it.each([
    [undefined, "convert"],
    [{}, "convert"],
    [{ input: {} }, "input.dtype"],
    [{ input: { dtype: "int8" } }, "input.dtype"],
    [{ input: { dtype: "uint8" } }, "input.mean"],
    [{ input: { dtype: "uint8", mean: [0.5, 0.5, 0.5], deviation: [1] } }, "input.mean"],
    [{ input: { dtype: "uint8", mean: [0.5], deviation: [0] } }, "input.deviation"],
    [{ input: { dtype: "float32", mean: [Number.NaN], deviation: [1] } }, "input.mean"],
  ])("refuses %j, and names what is missing or wrong", (options, where) => {
    expect(() => untyped(options)).toThrow(expect.objectContaining({ where, exitCode: exitCodes.usage }));
  });
});

describe("writeInteger", () => {
  const integers = convert(network, { data: train });

  it("gives the files of every format", () => {
    for (const format of formats) {
      const written = Reflect.apply(writeInteger, undefined, [integers, format.name, { source: network }]);
      const expected = format.files(integers, { batchSize: 1, arithmetic: "float", packed: true }, network);
      expect(contentOf(written)).toEqual(contentOf(expected));
    }
    expect(writeInteger(integers, "c").map(({ name }) => name)).toContain("network.c");
  });

  it("refuses a format that does not exist, and state_dict without its source", () => {
    expect(() => Reflect.apply(writeInteger, undefined, [integers, "tflite"])).toThrow(ConfigError);
    expect(() => writeInteger(integers, "state_dict")).toThrow(/the network that was converted/);
  });
});

describe("the browser entry", () => {
  it("makes a recipe from a configuration", () => {
    const config = resolveTrainingConfig({ name: "recipe", text: "{ train: { epochs: 2, batchSize: 4 } }" });
    expect(recipeOf(config, train)).toMatchObject({ epochs: 2, batchSize: 4, loss: { name: "crossEntropy" } });
  });
});
