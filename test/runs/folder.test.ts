import { appendFile, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { ConfigError, FileFormatError, InputOutputError, SubbyteError } from "../../src/errors.ts";
import { writeFileAtomic } from "../../src/io/atomic-file.ts";
import { createRunFolder, defaultRunName, runPaths } from "../../src/runs/folder.ts";
import { MetricsLog, readMetrics, truncateMetrics } from "../../src/runs/metrics-log.ts";
import { writeSummary } from "../../src/runs/sums.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "subbyte-run-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function errorOf(promise: Promise<unknown>): Promise<SubbyteError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SubbyteError) return error;
  throw new Error(`expected a SubbyteError, got ${String(error)}`);
}

function full(code: string): Error {
  return Object.assign(new Error(`${code}: no space left on device, write`), { code });
}

describe("writeFileAtomic", () => {
  it("writes texts, bytes and bytes in pieces, and replaces what was there", async () => {
    const file = join(folder, "a");
    await writeFileAtomic(file, "old and longer");
    await writeFileAtomic(file, "text");
    expect(await readFile(file, "utf8")).toBe("text");
    await writeFileAtomic(file, new Uint8Array([1, 2]));
    expect([...(await readFile(file))]).toEqual([1, 2]);
    await writeFileAtomic(file, [new Uint8Array([1]), new Uint8Array(0), new Uint8Array([2, 3])]);
    expect([...(await readFile(file))]).toEqual([1, 2, 3]);
    expect(await readdir(folder)).toEqual(["a"]);
  });

  it("a full disk: says so and which file, keeps the old file and leaves nothing else", async () => {
    const file = join(folder, "checkpoint");
    await writeFile(file, "old");
    const openOnFullDisk = async (path: string, flags: string) => {
      const handle = await open(path, flags);
      return {
        writeFile: async () => {
          await handle.writeFile("half");
          throw full("ENOSPC");
        },
        sync: () => handle.sync(),
        close: () => handle.close(),
      };
    };
    const error = await errorOf(writeFileAtomic(file, "new", { open: openOnFullDisk, rename }));
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.describe()).toContain(`${file}: cannot write: the disk is full`);
    expect(error.describe()).toContain("no partial file was left behind");
    expect(error.cause).toHaveProperty("code", "ENOSPC");
    expect(await readdir(folder)).toEqual(["checkpoint"]);
    expect(await readFile(file, "utf8")).toBe("old");
  });

  it("a folder in the way, or none to write into: nothing is left", async () => {
    const inTheWay = join(folder, "in-the-way");
    await mkdir(inTheWay);
    expect((await errorOf(writeFileAtomic(inTheWay, "x"))).where).toBe(inTheWay);
    expect((await errorOf(writeFileAtomic(join(folder, "no", "x"), "x"))).message).toContain("no such file or folder");
    expect(await readdir(folder)).toEqual(["in-the-way"]);
  });
});

describe("metrics.jsonl", () => {
  const write = (file: string, steps: readonly number[]) => {
    const log = new MetricsLog(file);
    for (const step of steps) log.append({ step, loss: 1 / step });
    log.close();
  };

  it("is appended to and read back", async () => {
    const file = join(folder, "metrics.jsonl");
    write(file, [1, 2]);
    write(file, [3]);
    expect((await readMetrics(file)).map((record) => record.step)).toEqual([1, 2, 3]);
    expect(await readFile(file, "utf8")).toMatch(/^\{"step":1,"loss":1\}\n/);
  });

  it("keeps a loss that is not a number as a text, since JSON would make it null", async () => {
    const log = new MetricsLog(join(folder, "m"));
    log.append({ step: 1, loss: Number.NaN, scale: Number.POSITIVE_INFINITY });
    log.close();
    expect(await readMetrics(log.file)).toEqual([{ step: 1, loss: "NaN", scale: "Infinity" }]);
  });

  it("is cut back to a step, to the byte", async () => {
    const file = join(folder, "metrics.jsonl");
    write(file, [10, 20]);
    const before = await readFile(file, "utf8");
    write(file, [30, 40]);
    expect(await truncateMetrics(file, 20)).toBe(2);
    expect(await readFile(file, "utf8")).toBe(before);
    expect(await truncateMetrics(file, 25)).toBe(0);
    expect(await truncateMetrics(file, 0)).toBe(2);
    expect(await readFile(file, "utf8")).toBe("");
  });

  it("loses a last line that a kill cut short, and only that", async () => {
    const file = join(folder, "metrics.jsonl");
    write(file, [1, 2]);
    const before = await readFile(file, "utf8");
    await appendFile(file, '{"step":3,"lo');
    expect(await truncateMetrics(file, 5)).toBe(0);
    expect(await readFile(file, "utf8")).toBe(before);
  });

  it("may be missing", async () => {
    const file = join(folder, "metrics.jsonl");
    expect(await readMetrics(file)).toEqual([]);
    expect(await truncateMetrics(file, 5)).toBe(0);
    await expect(stat(file)).rejects.toThrow("ENOENT");
  });

  it("names the line that is damaged", async () => {
    const file = join(folder, "metrics.jsonl");
    await writeFile(file, '{"step":1}\nnonsense\n{"step":3}\n');
    const error = await errorOf(truncateMetrics(file, 1));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.where).toBe(`${file}:2`);
    await writeFile(file, '{"loss":1}\n');
    expect((await errorOf(readMetrics(file))).message).toContain("a number called step");
  });
});

describe("a run's folder", () => {
  const config = resolveTrainingConfig({ name: "c", text: "seed: 5\nquantization: { weightBits: 3 }" });

  it("is called after the model, the bits and the time", () => {
    const now = new Date(2026, 10, 3, 4, 5, 6);
    expect(defaultRunName(config, now)).toBe("resnet20_W3A4_20261103-040506");
    expect(defaultRunName(resolveTrainingConfig(undefined), now)).toBe("resnet20_float_20261103-040506");
  });

  it("holds the configuration, its source and the environment", async () => {
    const source = { name: "c.yaml", text: "# mine\nseed: 5\n" };
    const versions = { "onnxruntime-node": "1.2.3" };
    const paths = await createRunFolder({ parent: join(folder, "runs"), name: "a", config, source, versions });
    expect(paths).toEqual(runPaths(join(folder, "runs", "a")));
    expect(await readFile(paths.configSource, "utf8")).toBe(source.text);
    const text = await readFile(paths.config, "utf8");
    expect(resolveTrainingConfig({ name: paths.config, text })).toEqual(config);
    const environment: unknown = JSON.parse(await readFile(paths.environment, "utf8"));
    expect(environment).toMatchObject({
      versions: { subbyte: expect.stringMatching(/^\d+\.\d+\.\d+/), node: process.versions.node, ...versions },
      seed: 5,
      commandLine: expect.any(Array),
    });
    expect(environment).toHaveProperty("gitCommit");
    await writeSummary(paths, { accuracy: 0.5 });
    expect(JSON.parse(await readFile(paths.summary, "utf8"))).toEqual({ accuracy: 0.5 });
    expect((await readdir(paths.folder)).sort()).toEqual(
      ["SHA256SUMS", "checkpoints", "config.source.yaml", "config.yaml", "env.json", "summary.json"].sort(),
    );
  });

  it("is never another run's: -2, -3, even when made at the same time", async () => {
    const made = await Promise.all([1, 2, 3].map(() => createRunFolder({ parent: folder, name: "a", config })));
    expect(made.map((paths) => paths.folder).sort()).toEqual(["a", "a-2", "a-3"].map((name) => join(folder, name)));
  });

  it("is another run's when it may be, without that run's log and summary", async () => {
    const first = await createRunFolder({ parent: folder, name: "a", config });
    await writeFile(first.metrics, '{"step":1}\n');
    await writeFile(join(first.folder, "notes.txt"), "mine");
    const again = await createRunFolder({ parent: folder, name: "a", config, existOk: true });
    expect(again.folder).toBe(first.folder);
    expect(await readMetrics(again.metrics)).toEqual([]);
    expect(await readFile(join(first.folder, "notes.txt"), "utf8")).toBe("mine");
  });

  it("is refused where the name is a path or the parent is a file", async () => {
    for (const name of ["../x", "a/b", "..", ""]) {
      expect(await errorOf(createRunFolder({ parent: folder, name, config }))).toBeInstanceOf(ConfigError);
    }
    const file = join(folder, "file");
    await writeFile(file, "");
    const error = await errorOf(createRunFolder({ parent: file, name: "a", config }));
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.where).toBe(join(file, "a"));
  });
});
