/** CSV: headers, columns to predict, tasks; ragged rows and words in features are named by row and column. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { readCsv } from "../../../src/data/formats/csv/csv.ts";
import { put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

async function table(text: string, name = "t.csv"): Promise<string> {
  return join(await put(await temporaryFolder(), { [name]: text }), name);
}

describe("readCsv", () => {
  test("a header is recognized by its words, the target column by its name; without one it is the last", async () => {
    const named = await readCsv(await table("label,a,b\n1,2,3\n0,5,6\n"));
    expect(named).toMatchObject({ rows: 2, featureNames: ["a", "b"], targetName: "label", targets: ["1", "0"] });
    expect(Array.from(named.features)).toEqual([2, 3, 5, 6]);
    const bare = await readCsv(await table("5.1,3.5,setosa\r\n4.9,3,virginica\r\n"));
    expect(bare).toMatchObject({
      rows: 2,
      featureNames: ["0", "1"],
      targetName: "2",
      targets: ["setosa", "virginica"],
    });
  });

  test("other separators, quotes, a byte order mark, empty lines, chosen and ignored columns", async () => {
    const path = await table('\uFEFF"id";"x";"y z"\n7;1.5;"a;b"\n\n8;2.5;c\n');
    const read = await readCsv(path, { target: "y z", ignore: ["id"] });
    expect(read).toMatchObject({ featureNames: ["x"], targets: ["a;b", "c"] });
    expect((await readCsv(path, { target: -1, ignore: [0] })).targets).toEqual(["a;b", "c"]);
    expect((await readCsv(await table("1\t2\n3\t4\n", "t.tsv"), { target: null })).features.length).toBe(4);
  });

  test("what is wrong is named by row and column", async () => {
    const message = async (text: string, options = {}) =>
      (await errorOf(async () => readCsv(await table(text), options))).describe().replace(/^.*t\.csv/, "t.csv");
    expect(await message("a,b,c\n1,2,3\n1,2\n")).toMatch(/^t.csv, row 3: it has 2 cells, the first row has 3/);
    expect(await message("a,b,c\n1,?,3\n")).toMatch(/^t.csv, row 2: column "b" holds "\?", which is not a number/);
    expect(await message("a,b,c\n1,,3\n")).toMatch(/column "b" holds nothing/);
    expect(await message("a,b\n1,2\n", { target: "d" })).toMatch(/no column "d"\n {2}The columns are a, b\./);
    expect(await message("1".repeat(5_000_000))).toMatch(/row 1: it has more than 4194304 characters/);
    expect(await message("a,b\n1,2\n".repeat(600), { memoryBytes: 100, header: false })).toMatch(/not a number/);
    expect(await message("1,2,3\n".repeat(2000), { memoryBytes: 100 })).toMatch(/4.1 kB of memory, the limit is 100/);
    expect(await message("")).toMatch(/no rows of data/);
    expect(await message("a,b\n")).toMatch(/no rows of data/);
    expect(await message("a\n1\n")).toMatch(/leave no feature/);
    expect((await errorOf(() => readCsv("no.csv"))).message).toMatch(/no such file/);
  });
});

describe("data sets of tables", () => {
  const rows = (target: (i: number) => string | number) =>
    `x,target\n${Array.from({ length: 40 }, (_, i) => `${i},${target(i)}`).join("\n")}\n`;

  test("words and few whole numbers are classes, other numbers values, and a task decides", async () => {
    const targetOf = async (text: string, options = {}) => (await openDataset(await table(text), options)).train.target;
    expect(await targetOf(rows((i) => ["b", "a"][i % 2] ?? ""))).toEqual({ kind: "classes", classes: ["a", "b"] });
    expect(await targetOf(rows((i) => 8 + (i % 3)))).toEqual({ kind: "classes", classes: ["8", "9", "10"] });
    expect(await targetOf(rows((i) => i / 4))).toEqual({ kind: "values", shape: [] });
    expect(await targetOf(rows((i) => i))).toEqual({ kind: "values", shape: [] });
    expect(
      await targetOf(
        rows((i) => i % 3),
        { task: "regression" },
      ),
    ).toEqual({ kind: "values", shape: [] });
    expect(
      await targetOf(
        rows((i) => i % 3),
        { task: "none" },
      ),
    ).toEqual({ kind: "none" });
    const error = await errorOf(() => targetOf(rows((i) => (i === 7 ? "" : "a"))));
    expect(error.message).toBe('column "target" holds no class');
    expect(error.where).toMatch(/t\.csv, row 9$/);
  });

  test("without a task for its labels, a column that is named as them is no feature", async () => {
    const open = async (header: string) => {
      const { train, notes } = await openDataset(await table(`${header}\n1,2,3\n4,5,6\n`), { task: "none" });
      return { features: train.sampleShape, target: train.target.kind, note: notes[1] };
    };
    const note = 'column "class" is left out: no labels are learned from';
    expect(await open("a,class,b")).toEqual({ features: [2], target: "none", note });
    expect(await open("a,b,c")).toEqual({ features: [3], target: "none", note: "no column is predicted" });
  });

  test("bytes that are no text are refused, and not printed", async () => {
    const words = "a,b,y\n1,2,u\n3,4,v\n";
    const files = {
      "utf16.csv": Buffer.from(words, "utf16le"),
      "latin1.csv": Buffer.from(`${words}5,6,\xe9\n`, "latin1"),
      "noise.csv": Uint8Array.from({ length: 300 }, (_, i) => (i * 97) % 256),
    };
    const folder = await put(await temporaryFolder(), files);
    for (const file of Object.keys(files)) {
      const error = await errorOf(() => openDataset(join(folder, file)));
      expect(error.describe()).toMatch(/row \d: it is not text in UTF-8\n {2}Save the table as CSV in UTF-8/);
    }
  });

  test("train.csv and test.csv share classes and columns", async () => {
    const folder = await put(await temporaryFolder(), { "train.csv": "a,y\n1,p\n2,q\n", "test.csv": "a,y\n3,q\n" });
    const { train, test } = await openDataset(folder);
    expect([train.count, test.count, train.normalization.mean]).toEqual([2, 1, [1.5]]);
    const batch = allocateBatch(test, 1);
    test.readBatch(Int32Array.of(0), batch);
    expect(Array.from(batch.targets)).toEqual([1]);
    await put(folder, { "test.csv": "a,y\n3,r\n" });
    expect((await errorOf(() => openDataset(folder))).message).toMatch(/the class "r", which is not one of p, q/);
    await put(folder, { "test.csv": "b,y\n3,p\n" });
    expect((await errorOf(() => openDataset(folder))).message).toMatch(/its columns are not those/);
  });
});

describe("the first row", () => {
  const body = (row: (i: number) => string) => Array.from({ length: 30 }, (_, i) => `${row(i)}\n`).join("");
  const number = (i: number) => (i * 0.37).toFixed(3);

  test.each([
    ["names that are numbers, and a word", "0,1,label", (i: number) => `${number(i)},${number(i + 1)},${i % 3}`],
    ["names above words", "0,1,kind", (i: number) => `${number(i)},${number(i)},${["oak", "elm"][i % 2]}`],
    ["the label first", "label,0,1", (i: number) => `${i % 3},${number(i)},${number(i)}`],
    ["only numbers in order", "0,1,2", (i: number) => `${number(i)},${number(i)},${i % 3}`],
    ["numbers and a word above numbers", "2019,2020,y", (i: number) => `${number(i)},${number(i)},${i % 2}`],
    ["an index without a name", ",0,1,label", (i: number) => `${i},${number(i)},${number(i)},${i % 3}`],
    ["an index by pandas' own name", "Unnamed: 0,a,b,c", (i: number) => `${i},${number(i)},${number(i)},${i % 3}`],
  ])("holds names: %s", async (_, head, row) => {
    const read = await readCsv(await table(`${head}\n${body(row)}`));
    expect([read.rows, read.headRows, read.featureNames.length]).toEqual([30, 1, 2]);
    expect(new Set(read.targets).size).toBeLessThan(4);
  });

  test.each([
    ["numbers", "5.1,3.5,0", (i: number) => `${number(i)},${number(i)},${i % 3}`],
    ["a word that comes again", "5.1,3.5,oak", (i: number) => `${number(i)},${number(i)},${["oak", "elm"][i % 2]}`],
    ["a word of its own", "5.1,3.5,ash", (i: number) => `${number(i)},${number(i)},${["oak", "elm"][i % 2]}`],
    ["two numbers in order", "0,1", (i: number) => `${i % 2},${i % 2}`],
  ])("is data: %s", async (name, head, row) => {
    const read = await readCsv(await table(`${head}\n${body(row)}`));
    expect([read.rows, read.headRows]).toEqual([31, 0]);
    if (name === "a word of its own") {
      expect(read.notes).toEqual([
        'the first row is read as data; data.header=true if it is not ("ash" is in no other row)',
      ]);
    }
    expect((await readCsv(await table(`${head}\n${body(row)}`), { header: true })).rows).toBe(30);
  });

  test("a column without a name is left out where it numbers the rows, with a note", async () => {
    const read = await readCsv(await table(`,w,kind\n${body((i) => `${i},${number(i)},${i % 2}`)}`));
    expect(read.featureNames).toEqual(["w"]);
    expect(Array.from(read.features.subarray(0, 3))).toEqual([0, 0.37, 0.74].map(Math.fround));
    expect(read.notes).toEqual([
      "column 0, which has no name and numbers the rows, is left out; give it a name to use it",
    ]);
    const other = await readCsv(await table(`,w,kind\n${body((i) => `${number(i)},${i},${i % 2}`)}`));
    expect(other.featureNames).toEqual(["", "w"]);
    expect(other.notes).toEqual(["the column without a name, column 0, is a feature"]);
  });

  test("gzip that unpacks to more blank lines than a row may have is refused after a part of them", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "t.csv.gz");
    await writeFile(path, gzipSync(Buffer.concat([Buffer.from("a,b\n1,2\n"), Buffer.alloc(3e7, "\n")]), { level: 1 }));
    const before = process.memoryUsage.rss();
    expect((await errorOf(async () => readCsv(path))).message).toMatch(/more than 4194304 characters/);
    expect(process.memoryUsage.rss() - before).toBeLessThan(2e8);
  });

  test("numbers are decimal, as pandas reads them", async () => {
    for (const word of ["0x10", "0b1", "1_000", "Infinity", "1,5e", "--1"]) {
      const error = await errorOf(async () => readCsv(await table(`a,b\n"${word}",1\n`)));
      expect(error.message).toMatch(/is not a number/);
    }
    const read = await readCsv(await table("a,b\n +1.e2 ,1\n.5,1\n-3E-1,1\n"));
    expect(Array.from(read.features)).toEqual([100, 0.5, Math.fround(-0.3)]);
  });
});
