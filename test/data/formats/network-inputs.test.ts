/** Arrays for networks of whole numbers and of several inputs: by name, as they are, and refused by the array's name. */
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../src/data/dataset/open-dataset.ts";
import type { FileInput } from "../../../src/onnx/read/file.ts";
import { bytesOf, floats, labels, npy, npz, put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

const ids: FileInput = { name: "input_ids", dtype: "int64", dimensions: ["batch", 4] };
const mask: FileInput = { name: "attention_mask", dtype: "int64", dimensions: ["batch", 4] };
const length = 4;

function integers(shape: readonly number[], value: (i: number) => number): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  return npy("<i8", shape, bytesOf(BigInt64Array.from({ length: count }, (_, i) => BigInt(value(i)))));
}

async function open(
  arrays: Readonly<Record<string, Uint8Array>>,
  inputs: readonly FileInput[],
  options: OpenOptions = {},
) {
  const file = join(await put(await temporaryFolder(), { "x.npz": npz(arrays) }), "x.npz");
  return openDataset(file, { inputs, validationSplit: 0, ...options });
}

function read(dataset: Awaited<ReturnType<typeof open>>["train"], indices: readonly number[]) {
  const batch = allocateBatch(dataset, indices.length);
  dataset.readBatch(Int32Array.from(indices), batch);
  return batch;
}

describe("whole numbers", () => {
  test("go in as they are, of any size of 32 bits, and have no normalization", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }), { minLength: 8, maxLength: 8 }),
        async (tokens) => {
          const { train } = await open({ x: integers([2, 4], (i) => tokens[i] ?? 0), y: labels(2, (i) => i) }, [ids]);
          expect(train.sampleType).toBe("int32");
          expect(train.normalization).toEqual({ scale: 1, mean: [], std: [] });
          expect(Array.from(read(train, [0, 1]).samples)).toEqual(tokens);
        },
      ),
      { numRuns: 20 },
    );
  });

  test.each([
    ["floats", { x: floats([2, 4], () => 1) }, /x holds float32, the model's input input_ids int64/],
    [
      "numbers beyond 32 bits",
      { x: integers([2, 4], (i) => (i === 6 ? 2 ** 40 : 1)) },
      /sample 1, position 2 of x holds 1099511627776/,
    ],
    ["another length", { x: integers([2, 5], () => 1) }, /x is \[N, 5\], the model takes \[N, 4\] for input_ids/],
    ["another rank", { x: integers([2, 4, 1], () => 1) }, /x is \[N, 4, 1\]/],
    ["no samples", { x: integers([0, 4], () => 1) }, /holds no samples/],
  ] as const)("refused: %s", async (_, arrays, message) => {
    const error = await errorOf(() => open(arrays, [ids]));
    expect(error.message).toMatch(message);
    expect(error.where).toMatch(/x\.npz, x\.npy$/);
  });

  test("refused: a normalization", async () => {
    const error = await errorOf(() => open({ x: integers([2, 4], () => 1) }, [ids], { normalization: "measure" }));
    expect(error.message).toMatch(/not normalized/);
    expect(error.exitCode).toBe(2);
  });
});

describe("several inputs", () => {
  const arrays = {
    attention_mask: integers([3, length], (i) => i % 2),
    input_ids: integers([3, length], (i) => i),
    labels: labels(3, (i) => i % 2),
  };

  test("are one row for each sample, in the order of the network's inputs", async () => {
    const { train } = await open(arrays, [ids, mask]);
    expect(train.inputs).toEqual([
      { name: "input_ids", shape: [4], start: 0 },
      { name: "attention_mask", shape: [4], start: 4 },
    ]);
    expect(Array.from(read(train, [2]).samples)).toEqual([8, 9, 10, 11, 0, 1, 0, 1]);
    expect(Array.from(read(train, [2]).targets)).toEqual([0]);
  });

  test("floats next to whole numbers make rows of floats", async () => {
    const scale: FileInput = { name: "scale", dtype: "float32", dimensions: ["batch", 1] };
    const both = { input_ids: arrays.input_ids, scale: floats([3, 1], (i) => i + 0.5) };
    const { train } = await open(both, [ids, scale]);
    expect(train.sampleType).toBe("float32");
    expect(Array.from(read(train, [1]).samples)).toEqual([4, 5, 6, 7, 1.5]);
    const large = { ...both, input_ids: integers([3, 4], (i) => (i === 5 ? 2 ** 24 + 1 : 0)) };
    expect((await errorOf(() => open(large, [ids, scale]))).message).toMatch(/sample 1 holds 16777217/);
  });

  test("have parts by the words in their names", async () => {
    const parts = Object.fromEntries(
      ["train", "test"].flatMap((part, n) => [
        [`input_ids_${part}`, integers([2 + n, 4], () => n)],
        [`${part}_attention_mask`, integers([2 + n, 4], () => 1)],
        [`y_${part}`, labels(2 + n, () => 0)],
      ]),
    );
    const { train, test: held } = await open(parts, [ids, mask]);
    expect([train.count, held.count]).toEqual([2, 3]);
    expect(Array.from(read(held, [0]).samples)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  test("lie in NPY files too, one for each input", async () => {
    const folder = await put(await temporaryFolder(), {
      "input_ids.npy": arrays.input_ids,
      "attention_mask.npy": arrays.attention_mask,
      "labels.npy": arrays.labels,
    });
    const { train } = await openDataset(folder, { inputs: [ids, mask], validationSplit: 0 });
    expect(Array.from(read(train, [2]).samples)).toEqual([8, 9, 10, 11, 0, 1, 0, 1]);
  });

  test("arrays for inputs that nothing reads are left out, with a note", async () => {
    const { train, notes } = await open(arrays, [ids], { unusedInputs: ["attention_mask"] });
    expect(train.inputs).toBeUndefined();
    expect(notes).toContain("the model does not read attention_mask");
  });

  const open4 = { ...ids, dimensions: ["batch", "seq"] };
  test.each([
    [
      "a missing array",
      { input_ids: arrays.input_ids, labels: arrays.labels },
      [ids, mask],
      /no array for the input attention_mask/,
    ],
    [
      "an array too many",
      { ...arrays, segment: arrays.input_ids },
      [ids, mask],
      /the array segment is none of the model's inputs/,
    ],
    [
      "masks of another count",
      { ...arrays, attention_mask: integers([2, 4], () => 1) },
      [ids, mask],
      /attention_mask holds 2 samples, input_ids 3/,
    ],
    [
      "masks of another size",
      { ...arrays, attention_mask: integers([3, 3], () => 1) },
      [ids, mask],
      /attention_mask is \[N, 3\]/,
    ],
    [
      "masks of another size than the tokens, of open length",
      { ...arrays, attention_mask: integers([3, 3], () => 1) },
      [open4, { ...mask, dimensions: ["batch", "seq"] }],
      /attention_mask has 3 elements along axis 1, input_ids has 4: the model calls both "seq"/,
    ],
    [
      "labels of another count",
      { ...arrays, labels: labels(2, () => 0) },
      [ids, mask],
      /2 targets do not fit the 3 samples/,
    ],
    [
      "one part with targets",
      { ...arrays, test_input_ids: arrays.input_ids, test_attention_mask: arrays.input_ids },
      [ids, mask],
      /one part has targets/,
    ],
    ["an input twice", { ...arrays, x_test: arrays.input_ids }, [ids], /none of the model's inputs|no array/],
  ] as const)("refused: %s", async (_, given, inputs, message) => {
    expect((await errorOf(() => open(given, inputs))).message).toMatch(message);
  });
});
