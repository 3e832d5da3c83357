/** NPY and NPZ: what numpy writes is read as numpy means it, and what is damaged or ambiguous is explained. */
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluationBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type Dataset } from "../../../src/data/dataset/dataset.ts";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { roleOfName } from "../../../src/data/formats/arrays/names.ts";
import { FileFormatError } from "../../../src/errors.ts";
import { openZip } from "../../../src/io/zip.ts";
import { bytes, bytesOf, decodeNpy, elementsOf, floats, labels, npy, npz, put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

/** All samples and targets of a data set in order. */
async function contents(dataset: Dataset) {
  const batches = evaluationBatches(dataset, dataset.count);
  const batch = allocateBatch(dataset, dataset.count);
  await batches.prefetch(0);
  batches.read(0, batch);
  return { samples: Array.from(batch.samples), targets: Array.from(batch.targets) };
}

describe("NPY", () => {
  test.each([
    ["|b1", Uint8Array.of(0, 1), [0, 1]],
    ["|i1", Int8Array.of(-3, 7), [-3, 7]],
    ["<i2", Int16Array.of(-300, 7), [-300, 7]],
    ["<u2", Uint16Array.of(65_535, 7), [65_535, 7]],
    ["<i4", Int32Array.of(-70_000, 7), [-70_000, 7]],
    ["<u4", Uint32Array.of(4e9, 7), [4e9, 7]],
    ["<i8", BigInt64Array.of(-5n, 7n), [-5, 7]],
    ["<u8", BigUint64Array.of(5n, 7n), [5, 7]],
    ["<f2", Uint16Array.of(0x3c00, 0xc1c0), [1, -2.875]],
    ["<f4", Float32Array.of(0.5, -2), [0.5, -2]],
    ["<f8", Float64Array.of(0.1, -2), [0.1, -2]],
    [">f4", Uint8Array.of(0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0), [1, -2]],
    [">i2", Uint8Array.of(1, 0, 0xff, 0xff), [256, -1]],
  ] as const)("elements of type %s", async (descr, elements, expected) => {
    const array = decodeNpy(npy(descr, [2], bytesOf(elements)), "x.npy");
    expect(Array.from(await elementsOf(array, new Float64Array(2)))).toEqual(expected);
    expect(Array.from(await elementsOf(array, new Float32Array(2)))).toEqual(expected.map(Math.fround));
  });

  test("Fortran order becomes C order", async () => {
    const array = decodeNpy(npy("|u1", [2, 3], Uint8Array.of(1, 4, 2, 5, 3, 6), "True"), "x.npy");
    expect(Array.from(await elementsOf(array, new Uint8Array(6)))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("any shape in Fortran order, and pieces of any length", async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: 1, max: 9 }), async (shape, piece) => {
        const count = shape.reduce((product, size) => product * size, 1);
        const place = (i: number) => {
          let rest = i;
          const position = shape.map((size) => {
            const index = rest % size;
            rest = Math.floor(rest / size);
            return index;
          });
          return position.reduce((sum, index, axis) => sum * (shape[axis] ?? 1) + index, 0);
        };
        const file = npy("<i2", shape, bytesOf(Int16Array.from({ length: count }, (_, i) => place(i))), "True");
        const read = await elementsOf(decodeNpy(file, "x.npy"), new Float32Array(count), piece);
        expect(Array.from(read)).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  test("a header with a key twice, one more, or none is refused", async () => {
    const replace = (text: string, other: string) => {
      const file = Buffer.from(npy("|u1", [2], Uint8Array.of(1, 2)));
      const at = file.indexOf(text);
      file.fill(" ", 10, 127).write(other, 10, "latin1");
      expect(at).toBeGreaterThan(0);
      return file;
    };
    const start = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)";
    expect(decodeNpy(replace("'shape'", `${start}}`), "x.npy").shape).toEqual([2]);
    for (const end of [", 'shape': (1,)}", ", 'more': (1,)}", "", ", 'x': __import__('os')}"]) {
      const error = await errorOf(() => decodeNpy(replace("'shape'", `${start}${end}`), "x.npy"));
      expect(error.message).toMatch(/the header is no dictionary of descr, fortran_order and shape, each once/);
    }
  });

  test("damaged files are named and explained", async () => {
    const good = floats([2, 3], (i) => i);
    const message = async (file: Uint8Array) => {
      const error = await errorOf(() => decodeNpy(file, "x.npy"));
      expect([error.where, error instanceof FileFormatError]).toEqual(["x.npy", true]);
      return error.message;
    };
    expect(await message(good.subarray(0, good.length - 5))).toBe(
      "the file is truncated: its header states 2x3 elements of 4 bytes = 24 bytes of data, there are 19",
    );
    expect(await message(Buffer.concat([good, Uint8Array.of(1)]))).toMatch(/^1 bytes follow/);
    expect(await message(good.subarray(0, 30))).toMatch(/truncated in its header/);
    expect(await message(Uint8Array.of(1, 2, 3))).toMatch(/not an NPY file/);
    expect(await message(npy("|O", [2], new Uint8Array(2)))).toMatch(/Python objects/);
    expect(await message(npy("<c8", [2], new Uint8Array(16)))).toMatch(/'c8' are not read/);
    expect(await message(npy("<f4", [2 ** 40, 2 ** 40], new Uint8Array(4)))).toMatch(/cannot be/);
  });
});

describe("ZIP", () => {
  async function readAll(archive: Uint8Array): Promise<number[]> {
    const folder = await put(await temporaryFolder(), { "x.npz": archive });
    const lengths: number[] = [];
    for (const entry of await openZip(join(folder, "x.npz"))) {
      let length = 0;
      for await (const chunk of entry.chunks()) length += chunk.length;
      expect(length).toBe(entry.size);
      lengths.push(length);
    }
    return lengths;
  }

  test("a wrong checksum is noticed, in data that unpack without an error", async () => {
    const archive = Buffer.from(npz({ x: bytes([400], (i) => i % 7) }, 0));
    expect(await readAll(archive)).toEqual([528]);
    const entry = archive.indexOf("PK\x01\x02", 0, "latin1");
    archive.writeUInt32LE((archive.readUInt32LE(entry + 16) ^ 1) >>> 0, entry + 16);
    expect((await errorOf(() => readAll(archive))).message).toContain("checksum is wrong");
  });

  test.each([0, 6] as const)("level %i: a changed byte, a cut end and a bomb are noticed", async (level) => {
    const archive = npz({ x: bytes([400], (i) => i % 7) }, level);
    expect(await readAll(archive)).toEqual([528]);
    const changed = Uint8Array.from(archive);
    changed[100] = (changed[100] ?? 0) ^ 0x55;
    expect((await errorOf(() => readAll(changed))).where).toMatch(/x\.npz, x\.npy$/);
    expect((await errorOf(() => readAll(archive.subarray(0, -9)))).message).toMatch(/truncated/);
    const bomb = Buffer.from(archive);
    const entry = bomb.indexOf("PK\x01\x02", 0, "latin1");
    bomb.writeUInt32LE(0xfffffff0, entry + 24);
    expect((await errorOf(() => readAll(bomb))).message).toMatch(/cannot unpack|directory says/);
  });

  test("files that share bytes are refused", async () => {
    const archive = Buffer.from(npz({ x: bytes([400], (i) => i % 7), y: bytes([300], () => 1) }, 0));
    const first = archive.indexOf("PK\x01\x02", 0, "latin1");
    const second = archive.indexOf("PK\x01\x02", first + 4, "latin1");
    archive.writeUInt32LE(archive.readUInt32LE(first + 42) + 10, second + 42);
    expect((await errorOf(() => readAll(archive))).message).toMatch(/^x\.npy and y\.npy overlap in the archive/);
  });
});

test("names say what arrays are for", () => {
  const cases: Record<string, string | undefined> = {
    x_train: "train samples",
    y_train: "train targets",
    "X_test.npy": "test samples",
    trainx: "train samples",
    val_labels: "validation targets",
    test_images: "test samples",
    arr_0: "only samples",
    arr_1: "only targets",
    "features.npy": "only samples",
    train: "train samples",
    weights: undefined,
  };
  for (const [name, expected] of Object.entries(cases)) {
    const role = roleOfName(name);
    expect([name, role === undefined ? undefined : `${role.part} ${role.role}`]).toEqual([name, expected]);
  }
});

describe("memory", () => {
  const open = async (files: Record<string, Uint8Array>, path: string, options = {}) =>
    openDataset(join(await put(await temporaryFolder(), files), path), { validationSplit: 0, ...options });

  test("arrays that are not used are not unpacked, and headers are compared first", async () => {
    const unused = npy("<f4", [3], new Uint8Array(5));
    const x = bytes([6, 2], (i) => i);
    const archive = npz({ x, y: labels(6, (i) => i % 2), weights: unused });
    expect((await open({ "d.npz": archive }, "d.npz")).train.count).toBe(6);
    const contrary = npz({ x, y: labels(5, (i) => i % 2) });
    const at = Buffer.from(contrary).indexOf("PK\x01\x02", 0, "latin1");
    // Damage in the elements of x is not seen, because the shapes are compared before.
    contrary.fill(0xff, at - 100, at - 90);
    expect((await errorOf(() => open({ "d.npz": contrary }, "d.npz"))).message).toMatch(/5 targets do not fit/);
  });

  test("what the limit does not allow is read as needed where it can be, and refused by name where not", async () => {
    const x = bytes([400, 30], (i) => i % 251);
    const options = { memoryBytes: 4000 };
    const expected = (await contents((await open({ "x.npy": x }, "x.npy")).train)).samples;
    for (const files of [{ "x.npy": x }, { "d.npz": npz({ x }, 0) }]) {
      const { train } = await open(files, Object.keys(files)[0] ?? "", options);
      expect(train.prefetch).toBeDefined();
      expect((await contents(train)).samples).toEqual(expected);
    }
    const packed = await errorOf(() => open({ "d.npz": npz({ x }) }, "d.npz", options));
    expect(packed.describe()).toMatch(
      /needs 12 kB of memory, the limit is 4 kB\n.*packed.*set data.memoryBytes to 12000/,
    );
    const fortran = npy("|u1", [400, 30], new Uint8Array(12_000), "True");
    expect((await errorOf(() => open({ "x.npy": fortran }, "x.npy", options))).describe()).toMatch(/Fortran order/);
  });

  test("a sparse file of 48 GB with samples of 4 GB, and files that are none", async () => {
    const folder = await put(await temporaryFolder(), { "x.npy": npy("<f4", [12, 2 ** 30], new Uint8Array(0)) });
    await truncate(join(folder, "x.npy"), 128 + 12 * 2 ** 32);
    expect((await errorOf(() => openDataset(folder))).message).toMatch(/needs 4.29 GB of memory, the limit is 268 MB/);
    expect((await errorOf(() => openDataset("/dev/null"))).message).toMatch(/neither a file nor a folder/);
  });
});

describe("data sets of arrays", () => {
  test("classes without samples and a normalization of another range are noted", async () => {
    const open = async (x: Uint8Array, y: Uint8Array, options = {}) => {
      const folder = await put(await temporaryFolder(), { "d.npz": npz({ x, y }) });
      return (await openDataset(join(folder, "d.npz"), { validationSplit: 0, ...options })).notes.join("\n");
    };
    const wide = floats([6, 3, 2, 2], (i) => i * 3);
    const narrow = floats([6, 3, 2, 2], (i) => i / 72);
    const zeroToTwo = labels(6, (i) => i % 3);
    const statistics = { mean: [123, 117, 104], std: [58, 57, 57] };
    expect(await open(wide, zeroToTwo, { normalization: "imagenet" })).toMatch(/0 to 213, which mean 0.485.*0\.\.255/);
    expect(await open(narrow, zeroToTwo, { normalization: statistics })).toMatch(/seem to be of another range/);
    for (const fits of [{ normalization: "imagenet" }, {}, { normalization: "none" }]) {
      expect(await open(narrow, zeroToTwo, fits)).not.toMatch(/range/);
    }
    expect(await open(wide, zeroToTwo, { normalization: statistics })).not.toMatch(/range/);
    expect(
      await open(
        narrow,
        labels(6, (i) => 1 + (i % 3)),
      ),
    ).toMatch(/class 0 has no sample: the labels begin at 1/);
    expect(
      await open(
        narrow,
        labels(6, (i) => 2 * (i % 3)),
      ),
    ).toMatch(/2 of 5 classes have no sample to train on: 1, 3/);
    expect(await open(narrow, zeroToTwo)).not.toMatch(/no sample/);
  });

  test("an NPZ of bytes with channels last, as Keras saves it", async () => {
    const folder = await put(await temporaryFolder(), {
      "d.npz": npz({
        x_train: bytes([4, 2, 2, 3], (i) => i),
        y_train: labels(4, (i) => i % 2),
        x_test: bytes([2, 2, 2, 3], (i) => 100 + i),
        y_test: labels(2, (i) => i),
      }),
    });
    const opened = await openDataset(join(folder, "d.npz"), { normalization: "none" });
    expect(opened.train).toMatchObject({ count: 4, sampleShape: [3, 2, 2], sampleType: "uint8" });
    expect(opened.train.target).toEqual({ kind: "classes", classes: ["0", "1"] });
    const { samples, targets } = await contents(opened.test);
    expect(samples.slice(0, 12)).toEqual([100, 103, 106, 109, 101, 104, 107, 110, 102, 105, 108, 111]);
    expect(targets).toEqual([0, 1]);
    expect(opened.notes[0]).toContain("x_train uint8 [4, 2, 2, 3], y_train int64 [4]");
  });

  test("NPY files larger than the memory are read as they are needed, with the same contents", async () => {
    const folder = await put(await temporaryFolder(), {
      "x.npy": floats([50, 4], (i) => Math.sin(i)),
      "y.npy": floats([50, 2], (i) => i),
    });
    const [whole, streamed] = await Promise.all([openDataset(folder), openDataset(folder, { memoryBytes: 64 })]);
    expect(streamed.train.prefetch).toBeDefined();
    expect(whole.train.prefetch).toBeUndefined();
    expect(streamed.train.target).toEqual({ kind: "values", shape: [2] });
    expect(streamed.train.normalization).toEqual(whole.train.normalization);
    expect(await contents(streamed.train)).toEqual(await contents(whole.train));
    const unread = await openDataset(folder, { memoryBytes: 64, normalization: "none" });
    const batch = allocateBatch(unread.train, 1);
    expect((await errorOf(() => unread.train.readBatch(Int32Array.of(3), batch))).remedy).toMatch(/prefetch/);
  });

  test("samples without targets have no labels", async () => {
    const folder = await put(await temporaryFolder(), { "x.npy": floats([10, 3], (i) => i) });
    const { train, kind } = await openDataset(join(folder, "x.npy"));
    expect([train.target, train.count, kind]).toEqual([{ kind: "none" }, 8, "npy"]);
    expect((await contents(train)).targets).toEqual([]);
    expect((await errorOf(() => openDataset(folder, { task: "classification" }))).message).toMatch(/has no labels/);
  });

  test("labels that cannot be are named with their sample", async () => {
    const folder = await temporaryFolder();
    const open = async (y: Uint8Array, options = {}) => {
      await put(folder, { "x.npy": floats([3, 2], (i) => i), "y.npy": y });
      return errorOf(() => openDataset(folder, options));
    };
    expect((await open(labels(3, (i) => i - 1))).message).toMatch(/sample 0 has the label -1/);
    expect(
      (
        await open(
          labels(3, (i) => i),
          { classes: ["a", "b"] },
        )
      ).describe(),
    ).toMatch(/y.npy: sample 2 .* 0 to 1/);
    expect((await open(labels(2, () => 0))).message).toBe("2 targets do not fit the 3 samples in x.npy");
    expect((await open(floats([3], () => Number.NaN))).message).toMatch(/target 0 is NaN/);
    expect(
      (
        await open(
          floats([3], (i) => i / 2),
          { task: "classification" },
        )
      ).message,
    ).toMatch(/label 0.5/);
    expect(
      (
        await open(
          floats([3, 4], (i) => i),
          { task: "classification" },
        )
      ).remedy,
    ).toMatch(/argmax/);
  });

  test("samples that hold no numbers are named, in memory and when streamed", async () => {
    const holed = (i: number) => (i === 7 ? Number.NaN : i);
    const folder = await put(await temporaryFolder(), { "x.npy": floats([6, 3], holed) });
    // Nothing is measured, so nothing else would see it.
    const error = await errorOf(() => openDataset(folder, { normalization: "none" }));
    expect(error.describe()).toMatch(/x\.npy: sample 2 holds NaN\n {2}Remove/);
    const options = { normalization: "none", memoryBytes: 24, validationSplit: 0 } as const;
    const { train } = await openDataset(folder, options);
    await train.prefetch?.(Int32Array.of(0, 2));
    expect(train.skipped?.()).toEqual([{ name: join(folder, "x.npy, sample 2"), reason: "it holds NaN" }]);
  });

  test("two parts have samples of one shape and one type", async () => {
    const open = async (test: Uint8Array) => {
      const files = { "x_train.npy": floats([4, 3], (i) => i), "x_test.npy": test };
      return (await errorOf(async () => openDataset(await put(await temporaryFolder(), files)))).message;
    };
    expect(await open(floats([4, 2], (i) => i))).toBe(
      "the test samples are float32 [2], the training samples float32 [3]",
    );
    expect(await open(bytes([4, 3], (i) => i))).toBe(
      "the test samples are uint8 [3], the training samples float32 [3]",
    );
  });

  test("what the targets are taken for is said, and that one-hot rows are none", async () => {
    const notes = async (y: Uint8Array) => {
      const folder = await put(await temporaryFolder(), { "x.npy": floats([6, 3], (i) => i), "y.npy": y });
      return (await openDataset(folder)).notes;
    };
    expect(await notes(labels(6, (i) => i % 2))).toContain("y.npy is the class of each sample, 0 to 1");
    expect(await notes(floats([6, 2], (i) => i))).toContain("y.npy is 2 values to predict for each sample");
    const oneHot = floats([6, 3], (i) => (i % 3 === Math.floor(i / 3) % 3 ? 1 : 0));
    expect(await notes(oneHot)).toContainEqual(expect.stringMatching(/^y\.npy is 3 values .*one-hot.*argmax/));
  });

  test("contradicting names are explained", async () => {
    const x = floats([3, 2], (i) => i);
    const open = async (files: Record<string, Uint8Array>) =>
      errorOf(async () => openDataset(await put(await temporaryFolder(), files)));
    expect((await open({ "x.npy": x, "images.npy": x })).message).toMatch(/both seem to be the samples/);
    expect((await open({ "y_train.npy": x, "x_test.npy": x })).message).toMatch(/no samples for them/);
    expect((await open({ "a.npy": x, "b.npy": x })).message).toMatch(
      /no array is named as samples: there are a.npy, b.npy/,
    );
    expect((await open({ "x_train.npy": x, "x_test.npy": x, "y_test.npy": x })).message).toMatch(
      /x_train.npy has no targets/,
    );
  });
});
