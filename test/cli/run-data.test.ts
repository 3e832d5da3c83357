/** Other data for a run's network: what does not fit it is refused before a number is printed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { testData } from "../../src/cli/run-data.ts";
import type { Dataset } from "../../src/data/dataset/dataset.ts";
import { makeModel } from "../../src/models/index.ts";
import { type LoadedRun, loadRun } from "../../src/train/load-run.ts";
import { startRun } from "../../src/train/run.ts";
import { put } from "../data/files.ts";
import { patternedImages } from "../data/support.ts";
import { tinyConfig } from "../support/training/tiny-run.ts";

/** Rows of features, with a class or a value at the end. */
function table(header: string, last: (row: number) => string): string {
  const features = header.split(",").slice(1);
  const rows = Array.from({ length: 30 }, (_, row) =>
    [...features.map((_, i) => (row * (i + 3)) % 7), last(row)].join(),
  );
  return `${header}\n${rows.join("\n")}\n`;
}

describe("other data for a run", () => {
  let folder = "";
  let run: LoadedRun;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "subbyte-run-data-"));
    await put(folder, {
      "own.csv": table("a,b,y", (row) => `class${row % 3}`),
      "more.csv": table("a,b,y", (row) => `class${row % 4}`),
      "wide.csv": table("a,b,c,y", (row) => `class${row % 3}`),
      "swapped.csv": table("b,a,y", (row) => `class${row % 3}`),
      "named.csv": table("c,d,y", (row) => `class${row % 3}`),
      "values.csv": table("a,b,y", (row) => `${row / 7}`),
      "scaled.csv": table("a,b,y", (row) => `class${row % 3}`).replace("0,0", "25500,0"),
      "fewer.csv": table("a,b,y", (row) => `class${row % 2}`),
    });
    const config = tinyConfig({
      model: { name: "mlp" },
      data: { folder: join(folder, "own.csv") },
      train: { epochs: 1, batchSize: 8 },
    });
    const { paths } = await startRun({ config, parent: folder });
    run = await loadRun(paths.folder);
  });

  afterAll(() => rm(folder, { recursive: true }));

  it("has the classes of the run, though not each of them", async () => {
    const { data } = await testData(run, { data: join(folder, "fewer.csv") });
    expect([data.count, data.target]).toEqual([30, { kind: "classes", classes: ["class0", "class1", "class2"] }]);
  });

  it("is refused with a class that the run does not know, and with other features", async () => {
    const of = (name: string) => testData(run, { data: join(folder, name) });
    await expect(of("more.csv")).rejects.toThrow('the class "class3", which is not one of class0, class1, class2');
    await expect(of("wide.csv")).rejects.toThrow("the network takes samples of [2], the data gives [3]");
  });

  it("is refused with other labels than the run's, and with its columns in another order", async () => {
    const of = (name: string) => testData(run, { data: join(folder, name) });
    await expect(of("values.csv")).rejects.toThrow(/class/);
    await expect(of("swapped.csv")).rejects.toThrow("the columns are b, a, those of the run a, b");
  });

  it("is noted with columns of other names, and with values of another range", async () => {
    const notes = async (name: string) => (await testData(run, { data: join(folder, name) })).notes.join();
    expect(await notes("own.csv")).toBe("");
    expect(await notes("named.csv")).toMatch(/the columns are c, d, those of the run a, b/);
    expect(await notes("scaled.csv")).toMatch(/the samples reach from 0 to 2.55e\+?4|they seem to be of another range/);
  });

  it("is refused where its labels are values and the run's are classes", async () => {
    const values = { ...run.data.test, target: { kind: "values", shape: [3] } } as const;
    const regression: LoadedRun = { ...run, data: { ...run.data, test: values } };
    await expect(testData(regression, { data: join(folder, "own.csv") })).rejects.toThrow(
      "the run was trained on values to predict, this data has classes",
    );
  });

  it("is refused where it counts more classes than the network has outputs", async () => {
    const ten = patternedImages(4, [1, 28, 28]);
    const three: Dataset = { ...ten, target: { kind: "classes", classes: ["a", "b", "c"] } };
    const network = makeModel("mlp", { sampleShape: [1, 28, 28], classes: 3 }, randomStream(0, "weights"));
    const other = { ...run, network, data: { train: three, test: three } };
    await expect(testData(other, { data: "fashion-mnist-part" })).rejects.toThrow(
      "the model has 3 outputs, the data 10 classes",
    );
  });
});
