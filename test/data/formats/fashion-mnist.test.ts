/** The embedded part, the full set where it is at hand, and fetching it. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { allocateBatch, classesOf, type Dataset } from "../../../src/data/dataset/dataset.ts";
import {
  embeddedFashionMnistFolder,
  fashionMnistFiles,
  fashionMnistNormalization,
  fetchFashionMnist,
  loadFashionMnist,
} from "../../../src/data/formats/fashion-mnist.ts";
import { measureNormalization } from "../../../src/data/normalization/normalization.ts";
import { ConfigError, FileFormatError, InputOutputError, InterruptedError } from "../../../src/errors.ts";
import { unpack } from "../../../src/io/gzip.ts";
import { errorOf, temporaryFolder } from "../support.ts";

/** Users do not have the full set; where it is absent, the tests that need it are skipped. */
const fullSetFolder = fileURLToPath(new URL("../../../../shared/data/fashion-mnist/", import.meta.url));
const hasFullSet = existsSync(fullSetFolder);

function firstBatch(dataset: Dataset, count: number) {
  const batch = allocateBatch(dataset, count);
  dataset.readBatch(
    Int32Array.from({ length: count }, (_, i) => i),
    batch,
  );
  return batch;
}

describe("the embedded part", () => {
  test("has 12,000 and 2,000 images of ten classes", async () => {
    const { train, test } = await loadFashionMnist();
    expect([train.count, test.count]).toEqual([12_000, 2_000]);
    expect(train.sampleShape).toEqual([1, 28, 28]);
    expect(train.sampleType).toBe("uint8");
    expect(classesOf(train)).toHaveLength(10);
    expect(train.normalization).toEqual(test.normalization);
    for (const dataset of [train, test]) {
      const { targets } = firstBatch(dataset, dataset.count);
      const perClass = Array.from({ length: 10 }, (_, label) => targets.filter((found) => found === label).length);
      for (const count of perClass) expect(count / dataset.count).toBeGreaterThan(0.09);
    }
  });

  test("is what its README says, and small", async () => {
    const readme = await readFile(join(embeddedFashionMnistFolder, "README.md"), "utf8");
    let total = 0;
    for (const { name } of fashionMnistFiles) {
      const path = join(embeddedFashionMnistFolder, `${name}.gz`);
      expect(readme).toContain(
        createHash("sha256")
          .update(await readFile(path))
          .digest("hex"),
      );
      total += (await stat(path)).size;
    }
    expect(total).toBeLessThan(8_000_000);
    expect(await readFile(join(embeddedFashionMnistFolder, "LICENSE"), "utf8")).toMatch(/MIT[\s\S]*Zalando SE/);
  });

  test("can be loaded in part, and not beyond its end", async () => {
    const { train, test } = await loadFashionMnist({ trainCount: 100, testCount: 10 });
    expect([train.count, test.count]).toEqual([100, 10]);
    const error = await errorOf(() => loadFashionMnist({ trainCount: 12_001 }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe("12001 samples were requested, there are 12000");
  });
});

describe.skipIf(!hasFullSet)("the full set", () => {
  test("has the published contents, counts and statistics, and begins with the embedded part", async () => {
    for (const { name, sha256 } of fashionMnistFiles) {
      const contents = await unpack(await readFile(join(fullSetFolder, `${name}.gz`)), name);
      expect(createHash("sha256").update(contents).digest("hex")).toBe(sha256);
    }
    const full = await loadFashionMnist({ folder: fullSetFolder });
    expect([full.train.count, full.test.count]).toEqual([60_000, 10_000]);
    const measured = measureNormalization(Uint8Array.from(firstBatch(full.train, 60_000).samples), [1, 28, 28]);
    expect(measured.mean[0]).toBeCloseTo(fashionMnistNormalization.mean[0] ?? 0, 12);
    expect(measured.std[0]).toBeCloseTo(fashionMnistNormalization.std[0] ?? 0, 12);

    const embedded = await loadFashionMnist();
    for (const part of ["train", "test"] as const) {
      const count = embedded[part].count;
      const [ours, theirs] = [firstBatch(embedded[part], count), firstBatch(full[part], count)];
      expect(Buffer.compare(Buffer.from(ours.samples), Buffer.from(theirs.samples))).toBe(0);
      expect(ours.targets).toEqual(theirs.targets);
    }
  });

  test("is fetched, checked, kept when it is right and replaced when it is not", async () => {
    const server = createServer(async (request, response) => {
      response.end(await readFile(join(fullSetFolder, request.url ?? "")));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    const sources = [`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`];

    const folder = join(await temporaryFolder(), "new");
    await mkdir(folder);
    // One file is there already, unpacked; another is there and damaged.
    const labels = await unpack(await readFile(join(fullSetFolder, "train-labels-idx1-ubyte.gz")), "labels");
    await writeFile(join(folder, "train-labels-idx1-ubyte"), labels);
    await writeFile(join(folder, "t10k-labels-idx1-ubyte.gz"), "damaged");
    await copyFile(join(fullSetFolder, "train-images-idx3-ubyte.gz"), join(folder, "train-images-idx3-ubyte.gz"));
    const files = new Set<string>();
    const fetched = await fetchFashionMnist(folder, { sources, onProgress: ({ file }) => files.add(file) });
    expect(fetched.map(({ downloaded }) => downloaded)).toEqual([false, false, true, true]);
    expect([...files]).toEqual(["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]);
    expect((await loadFashionMnist({ folder })).test.count).toBe(10_000);
    const again = await fetchFashionMnist(folder, { sources: [] });
    expect(again.every(({ downloaded }) => !downloaded)).toBe(true);
  });
});

describe("without files or network", () => {
  test("a folder without the files says which one and how to get it", async () => {
    const folder = await temporaryFolder();
    const error = await errorOf(() => loadFashionMnist({ folder }));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.where).toBe(folder);
    expect(error.message).toMatch(/there is no file (train|t10k)-(images-idx3|labels-idx1)-ubyte\.gz, nor an unpacked/);
    expect(error.remedy).toMatch(/subbyte data fetch fashion-mnist.*dataset-fashion-mnist/);
  });

  test("a fetch says which URLs failed and what to do, and leaves no file", async () => {
    const folder = join(await temporaryFolder(), "full");
    // Port 9 (discard) of this machine: nobody listens there, and no packet leaves the machine.
    const sources = ["http://127.0.0.1:9/one", "http://no-such-host.invalid/two/"];
    const error = await errorOf(() => fetchFashionMnist(folder, { sources }));
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.exitCode).toBe(1);
    expect(error.message).toContain("http://127.0.0.1:9/one/train-images-idx3-ubyte.gz: ");
    expect(error.message).toContain("http://no-such-host.invalid/two/train-images-idx3-ubyte.gz: ");
    expect(error.remedy).toMatch(
      /put the four files \(train-images.*\) in .*full by hand, or use .*dataset-fashion-mnist/,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test("a fetch that is stopped, and one into a place that is a file", async () => {
    const folder = await temporaryFolder();
    const stopped = errorOf(() => fetchFashionMnist(folder, { signal: AbortSignal.abort() }));
    expect(await stopped).toBeInstanceOf(InterruptedError);
    const file = join(folder, "file");
    await writeFile(file, "");
    const error = await errorOf(() => fetchFashionMnist(file, { sources: [] }));
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.where).toBe(file);
  });
});
