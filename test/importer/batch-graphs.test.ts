/**
 * Random models that compute with the size of their batch, against ONNX Runtime: the imported network gives the same numbers
 * for every batch that it takes, and says where it holds for one only. BATCH_GRAPHS=FROM:COUNT runs other seeds.
 */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { expect, it } from "vitest";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { inferTypes } from "../../src/compile/registry.ts";
import { SubbyteError } from "../../src/errors.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { type ImportedNetwork, importOnnx } from "../../src/importer/import.ts";
import type { Network } from "../../src/ir/network.ts";
import { genericTarget } from "../../src/ops/targets.ts";
import { emit } from "../../src/runtime/job.ts";
import { verifyGraph } from "../support/graphs/verify.ts";
import { batchGraph } from "../support/onnx/batch-graphs.ts";
import { sample } from "../support/onnx/imported.ts";
import { onnxModel } from "../support/onnx/model.ts";

const [from = 1, count = 60] = (process.env.BATCH_GRAPHS ?? "1:60").split(":").map(Number);
const batches = [1, 2, 3, 7, 64];

interface Output {
  readonly shape: readonly number[];
  readonly numbers: readonly number[];
}

/** The output of a model for a batch; undefined where the engine refuses it. */
async function run(bytes: Uint8Array, batch: number, network?: Network): Promise<Output | undefined> {
  const feeds: Record<string, OrtTensor> = {
    x: new OrtTensor("float32", Float32Array.from(sample([batch, 6]).data, Number), [batch, 6]),
  };
  for (const { name, value } of network?.parameters ?? []) {
    feeds[name] = new OrtTensor("float32", Float32Array.from(value.data, Number), value.shape);
  }
  try {
    const session = await InferenceSession.create(bytes, {
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
      graphOptimizationLevel: "disabled",
    });
    const used = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const { y } = await session.run(used);
    await session.release();
    return y === undefined ? undefined : { shape: y.dims, numbers: Array.from(y.data, Number) };
  } catch {
    return undefined;
  }
}

function difference(a: Output | undefined, b: Output): string | undefined {
  if (a === undefined) return "the engine refuses the imported network";
  if (a.shape.join() !== b.shape.join()) return `[${a.shape}] in place of [${b.shape}]`;
  const largest = Math.max(1e-6, ...b.numbers.filter(Number.isFinite).map(Math.abs));
  const at = a.numbers.findIndex((value, i) => {
    const other = b.numbers[i] ?? 0;
    return !Object.is(value, other) && value !== other && !(Math.abs(value - other) <= 2e-5 * largest);
  });
  return at < 0 ? undefined : `${a.numbers[at]} in place of ${b.numbers[at]} at ${at}`;
}

function read(bytes: Uint8Array): ImportedNetwork | SubbyteError {
  try {
    return importOnnx(bytes);
  } catch (error) {
    if (error instanceof SubbyteError) return error;
    throw error;
  }
}

const counts: Record<string, number> = {};
function counted(kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}

async function check(seed: number): Promise<string[]> {
  const { text, stated } = batchGraph(seed);
  const bytes = onnxModel(text);
  const network = read(bytes);
  if (network instanceof SubbyteError) {
    counted("refused");
    return network.where === undefined ? [`seed ${seed}: refused without a place: ${network.message}`] : [];
  }
  const { batch, notes } = network.imported;
  verifyGraph(network.graph, inferTypes);
  counted(batch === "any" ? "any batch" : "one batch");
  if (batch !== "any" && !notes.some((note) => note.includes("only"))) return [`seed ${seed}: no note`];
  const problems: string[] = [];
  const written = batch === "any" && seed % 3 === 0 ? exportOnnx(network) : undefined;
  for (const size of batch === "any" ? batches : [batch]) {
    const expected = stated === undefined || stated === size ? await run(bytes, size) : undefined;
    if (expected === undefined) continue;
    counted("comparisons");
    let bound: Network;
    try {
      bound = bindBatch(network, size);
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw error;
      counted("batches refused");
      problems.push(`seed ${seed} batch ${size}: ${error.describe()}`);
      continue;
    }
    const found = difference(await run(emit(bound.graph, genericTarget), size, bound), expected);
    if (found !== undefined) problems.push(`seed ${seed} batch ${size}: ${found}`);
    const own = written === undefined ? undefined : difference(await run(written, size), expected);
    if (own !== undefined) problems.push(`seed ${seed} batch ${size}, exported: ${own}`);
  }
  return problems;
}

it("a network that was read from a model with its batch as a value computes what the engine computes", async () => {
  const problems: string[] = [];
  for (let seed = from; seed < from + count; seed++) problems.push(...(await check(seed)));
  if (process.env.BATCH_GRAPHS !== undefined) console.log(counts);
  expect(problems).toEqual([]);
  expect(counts["any batch"]).toBeGreaterThan(count / 3);
  expect(counts.refused ?? 0).toBeLessThan(count / 10);
}, 600_000);
