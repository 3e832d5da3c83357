/**
 * Any file of a run's folder damaged at random: commands that read the run give the same numbers, or an error that names a file.
 * SUBBYTE_DAMAGES and SUBBYTE_SEED: how many, and which.
 */
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RandomStream, randomStream } from "../../src/base/random.ts";
import { diagnoseRun } from "../../src/diagnose/diagnose-run.ts";
import { watchAndKeep } from "../../src/diagnose/keep-findings.ts";
import { SubbyteError } from "../../src/errors.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { readRunRecord } from "../../src/runs/record.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { smallestConfig, tensorBytes } from "../support/training/tiny-run.ts";

const config = smallestConfig({ epochs: 2, checkpointEverySteps: 1 });
const listeners = { watch: (run: Parameters<typeof watchAndKeep>[0]) => watchAndKeep(run).watcher };

let parent = "";
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "subbyte-damage-"));
  await startRun({ config, parent, name: "ended" }, listeners);
  const controller = new AbortController();
  const stopped = startRun(
    { config, parent, name: "stopped" },
    { ...listeners, signal: controller.signal, onStep: ({ step }) => step === 6 && controller.abort() },
  );
  await stopped.catch(() => undefined);
}, 60_000);
afterAll(() => rm(parent, { recursive: true, force: true }));

const below = (random: RandomStream, count: number) => Math.min(count - 1, Math.floor(random.uniform() * count));

/** Damages a file and says how. */
async function damage(file: string, random: RandomStream): Promise<string> {
  const bytes = await readFile(file);
  const at = below(random, Math.max(1, bytes.length));
  const kinds: readonly (readonly [string, () => Promise<void>])[] = [
    ["a bit flipped", () => writeFile(file, flipped(bytes, at, 1 << below(random, 8)))],
    ["another digit", () => writeFile(file, otherDigit(bytes, at))],
    ["zeros", () => writeFile(file, Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 512)))],
    ["cut", () => truncate(file, at)],
    ["emptied", () => truncate(file, 0)],
    ["deleted", () => rm(file)],
    ["longer", () => writeFile(file, Buffer.concat([bytes, Buffer.from("0123456789abcdef")]))],
  ];
  const [name, apply] = kinds[below(random, kinds.length)] ?? ["nothing", async () => undefined];
  await apply();
  return `${name} at ${at}`;
}

function flipped(bytes: Buffer, at: number, bits: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ bits;
  return copy;
}

/** The damage that no syntax shows: the next digit becomes another one. */
function otherDigit(bytes: Buffer, from: number): Buffer {
  const at = bytes.findIndex((byte, index) => index >= from && byte >= 48 && byte <= 57);
  return at < 0 ? flipped(bytes, Math.max(0, bytes.length - 1), 1) : flipped(bytes, at, 1);
}

/** What the folder of a run says: its numbers, as everything that reads it gets them. */
const jobs: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  read: async (folder) => {
    const { network, config: read, step } = await loadRun(folder);
    return { read, step, values: network.parameters.map(({ value }) => value) };
  },
  best: async (folder) => (await loadRun(folder, "best")).network.parameters.map(({ value }) => value),
  record: async (folder) => {
    const { summary, ...rest } = await readRunRecord(runPaths(folder));
    return { accuracy: summary?.accuracy, ...rest };
  },
  diagnose: async (folder) => (await diagnoseRun(folder, { engine: nodeEngine({ threads: 1 }) })).findings,
  resume: async (folder) => {
    const { paths, summary } = await resumeRun(folder, listeners);
    const metrics = await readFile(paths.metrics, "utf8");
    const diagnosis = await readFile(paths.diagnosis, "utf8");
    const weights = await tensorBytes(join(paths.checkpoints, "last.safetensors"));
    return {
      accuracy: summary.accuracy,
      metrics,
      diagnosis,
      weights,
      findings: await readFile(paths.findings, "utf8"),
    };
  },
};

/** Files that no number depends on: those that say where and how it ran, and what may be deleted. */
const isFree = (run: string, job: string, file: string, how: string) =>
  file === "diagnosis.jsonl" && how.startsWith("deleted") && job !== "resume"
    ? true
    : run === "stopped" && job !== "resume" && ["metrics.jsonl", "diagnosis.jsonl", "findings.json"].includes(file);

describe("a run's folder damaged at random", () => {
  const count = Number(process.env.SUBBYTE_DAMAGES ?? 24);
  it(`gives the same numbers or names a file (${count} times)`, async () => {
    const random = randomStream(Number(process.env.SUBBYTE_SEED ?? 11), "damage");
    const wholes = new Map<string, unknown>();
    const tally = { same: 0, refused: 0, free: 0 };
    for (let round = 0; round < count; round++) {
      const run = ["ended", "stopped"][below(random, 2)] ?? "";
      const [job = "", read] = Object.entries(jobs)[below(random, 5)] ?? [];
      if (read === undefined) throw new Error("no job");
      const folder = join(parent, "copy");
      const copy = async () => {
        await rm(folder, { recursive: true, force: true });
        await cp(join(parent, run), folder, { recursive: true });
      };
      const key = `${run} ${job}`;
      if (!wholes.has(key)) {
        await copy();
        wholes.set(key, await read(folder));
      }
      await copy();
      const names = (await readdir(folder, { recursive: true })).sort();
      const sizes = await Promise.all(names.map((name) => stat(join(folder, name))));
      const files = names.filter((_, index) => sizes[index]?.isFile() === true);
      const file = files[below(random, files.length)] ?? "";
      const how = await damage(join(folder, file), random);
      const what = `${round}: ${key}, ${file}: ${how}`;
      const result = await read(folder).catch((error: unknown) => error);
      if (result instanceof Error) {
        expect(result, what).toBeInstanceOf(SubbyteError);
        expect(result, what).toHaveProperty("where", expect.stringContaining(folder));
        tally.refused++;
      } else if (isFree(run, job, file, how)) tally.free++;
      else {
        expect(result, what).toEqual(wholes.get(key));
        tally.same++;
      }
    }
    if (process.env.SUBBYTE_DAMAGES !== undefined) process.stdout.write(`${JSON.stringify(tally)}\n`);
    expect(tally.refused).toBeGreaterThan(0);
    expect(tally.same).toBeGreaterThan(0);
  }, 1_200_000);
});
