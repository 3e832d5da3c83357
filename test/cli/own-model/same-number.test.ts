/** Every command that prints an accuracy of a run on the same data prints the same number. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { randomStream } from "../../../src/base/random.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { makeModel } from "../../../src/models/index.ts";
import { capture } from "../../support/machine/capture.ts";

const folder = mkdtempSync(join(tmpdir(), "subbyte-same-number-"));
afterAll(() => rmSync(folder, { recursive: true }));

const data = ["--data", "fashion-mnist-part", "--set", "data.trainLimit=96", "--set", "data.testLimit=50"];
const recipe = ["--epochs", "1", "--batch", "32", "--threads", "1"];
const file = join(folder, "mine.onnx");
const at = (name: string) => join(folder, name);
const lsq = ["--preset", "lsq", "--weight-bits", "4", "--activation-bits", "4"];

/** The runs, in an order in which each finds what it starts from. */
const allRuns: readonly (readonly [string, readonly string[]])[] = [
  ["float", ["--model", "lenet", ...data, "--lr", "0.05"]],
  ["quantized", ["--from", at("float"), ...lsq]],
  ["whole minmax", ["--from", at("float"), "--preset", "minmax", "--weight-bits", "3", "--activation-bits", "5"]],
  [
    "mixed",
    [
      "--from",
      at("float"),
      ...lsq,
      "--set",
      'quantization.overrides=[{operator: Conv, bits: 3}, {layer: "**", activation: {bits: 5}}]',
    ],
  ],
  ["distilled", ["--from", at("float"), ...lsq, "--teacher", at("float")]],
  ["file with BatchNorm put back", ["--model", file, ...data]],
  ["quantized file", ["--from", at("file with BatchNorm put back"), ...lsq]],
];

/** The others need half a minute: `SAME_NUMBER=1`. */
const usual = ["float", "mixed", "file with BatchNorm put back", "quantized file"];
const runs = allRuns.filter(([name]) => process.env.SAME_NUMBER === "1" || usual.includes(name));

const resultSchema = z.object({ accuracy: z.number() });
const accuracyOf = (document: unknown) => resultSchema.parse(document).accuracy;

/** Runs a command with --json and returns its document. */
async function document(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr, code } = await capture(...args, "--json");
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  return z.record(z.string(), z.unknown()).parse(JSON.parse(stdout));
}

const trained = new Map<string, Record<string, unknown>>();

beforeAll(async () => {
  const network = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(3, "weights"));
  writeFileSync(file, exportOnnx(network));
  for (const [name, flags] of runs) {
    trained.set(name, await document("train", ...flags, ...recipe, "--out", folder, "--name", name));
  }
}, 60_000);

describe.each(runs.map(([name]) => name))("the accuracy of a run: %s", (name) => {
  const isFloat = name === "float" || name === "file with BatchNorm put back";
  const wanted = () => accuracyOf(trained.get(name));

  it("is that of eval, of its checkpoint, of compare and of its log", async () => {
    expect(accuracyOf(await document("eval", at(name), "--threads", "1"))).toBe(wanted());
    expect(accuracyOf(await document("eval", at(name), "--batch", "7", "--threads", "1"))).toBe(wanted());
    const checkpoint = join(at(name), "checkpoints", "last.safetensors");
    expect(accuracyOf(await document("eval", checkpoint, "--threads", "1"))).toBe(wanted());
    const { accuracy } = await document("compare", at(name), checkpoint, "--threads", "1");
    expect(accuracy).toEqual({ a: wanted(), b: wanted() });
    const lines = readFileSync(join(at(name), "metrics.jsonl"), "utf8")
      .trim()
      .split("\n");
    const last = z.object({ testAccuracy: z.number() }).parse(JSON.parse(lines.at(-1) ?? ""));
    expect(last.testAccuracy).toBe(wanted());
  });

  it("is that of report", async () => {
    const { code } = await capture("report", at(name));
    expect(code).toBe(0);
    const page = readFileSync(join(at(name), "report", "report.html"), "utf8");
    expect(page).toContain(`${(100 * wanted()).toFixed(1)}`);
  });

  it.runIf(isFloat)("is that of the file that convert writes, and that a training of it starts from", async () => {
    await document("convert", at(name), "--format", "float", "--out", join(folder, `${name} files`));
    const [written = ""] = readdirSync(join(folder, `${name} files`)).filter((each) => each.endsWith(".onnx"));
    const model = join(folder, `${name} files`, written);
    const test = ["--data", "fashion-mnist-part", "--set", "data.testLimit=50", "--threads", "1"];
    expect(accuracyOf(await document("eval", model, ...test))).toBe(wanted());
    const next = await document(
      "train",
      "--model",
      model,
      ...data,
      ...recipe,
      "--out",
      folder,
      "--name",
      `${name} again`,
    );
    expect(accuracyOf(next.start)).toBe(wanted());
    const { accuracy } = await document("compare", at(name), model, "--threads", "1");
    expect(accuracy).toEqual({ a: wanted(), b: wanted() });
  });

  it.skipIf(isFloat)(
    "is that of convert and diagnose, and its float is that of the run that it started from",
    async () => {
      const from = name === "quantized file" ? "file with BatchNorm put back" : "float";
      const float = accuracyOf(trained.get(from));
      const out = ["--out", join(folder, `${name} files`), "--threads", "1"];
      const { deployment } = await document("convert", at(name), ...out);
      const table = z
        .object({ float: resultSchema, simulation: resultSchema, integers: resultSchema })
        .parse(deployment);
      expect(table.simulation.accuracy).toBe(wanted());
      expect(table.float.accuracy).toBe(float);
      const integers = await document("eval", at(name), "--integer", "--threads", "1");
      expect(accuracyOf(integers)).toBe(table.integers.accuracy);
      const { ablation, gap } = await document("diagnose", at(name), "--ablate", "--threads", "1");
      const { quantized } = z.object({ quantized: resultSchema }).parse(ablation);
      expect(quantized.accuracy).toBe(wanted());
      expect(gap).toMatchObject({ accuracy: wanted(), float });
    },
  );
});
