/** What a user reads about a network on a table: samples, never images, and a next command that works. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../support/machine/capture.ts";
import { onnxModel, ramp } from "../../support/onnx/model.ts";

let folder = "";
let csv = "";
const files: Record<string, string> = {};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-table-"));
  csv = join(folder, "data.csv");
  const rows = Array.from({ length: 120 }, (_, i) => `${i % 7},${(i * 5) % 11},${i % 2 === 0 ? "even" : "odd"}`);
  writeFileSync(csv, ["a,b,kind", ...rows].join("\n"));
  for (const op of ["Relu", "Sigmoid", "LogSoftmax"]) {
    files[op] = join(folder, `${op}.onnx`);
    const model = onnxModel({
      inputs: { x: ["N", 2] },
      outputs: ["y"],
      nodes: [
        ["Gemm", ["x", "first"], ["h1"]],
        [op, ["h1"], ["h2"]],
        ["Gemm", ["h2", "last"], ["y"]],
      ],
      initializers: { first: ramp(2, 8), last: ramp(8, 2) },
    });
    writeFileSync(files[op], model);
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function trained(op: string): Promise<{ readonly text: string; readonly run: string }> {
  const run = join(folder, op);
  const args = ["--model", files[op] ?? "", "--data", csv, "--preset", "lsq", "--epochs", "1", "--batch", "16"];
  const { code, stdout, stderr } = await capture("train", ...args, "--threads", "1", "--out", folder, "--name", op);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return { text: stdout + stderr, run };
}

describe("a network on a table", () => {
  it("is trained and converted in samples, and the next command converts it", async () => {
    const { text, run } = await trained("Relu");
    expect(text).toMatch(/epoch 1\/1: .* samples\/s$/m);
    expect(text).toMatch(/│ samples\/s +│/);
    expect(text).not.toMatch(/images?\b/);
    expect(text).toContain(`next: subbyte convert ${run} --verify`);
    const converted = await capture("convert", run, "--verify", "--threads", "1");
    expect(converted.code).toBe(0);
    expect(converted.stdout).toMatch(/compared with the simulation │ samples │/);
    expect(converted.stdout).not.toMatch(/images?\b/);
  });

  it("that needs codes for a function gets them at conversion", async () => {
    const { text, run } = await trained("Sigmoid");
    expect(text).toContain(`next: subbyte convert ${run} --verify`);
    expect((await capture("convert", run, "--verify", "--threads", "1")).code).toBe(0);
  });

  it("that does not convert to integers gets a next command that works", async () => {
    const { text, run } = await trained("LogSoftmax");
    expect(text).toContain("will not convert to integers: LogSoftmax");
    expect(text).toContain(`next: subbyte convert ${run} --format float`);
    expect(text).not.toContain("--verify");
    expect((await capture("convert", run, "--format", "float")).code).toBe(0);
  });

  it("whose steps take no time has a forecast that says so", async () => {
    const args = ["--model", files.Relu ?? "", "--data", csv, "--batch", "16", "--epochs", "1", "--threads", "1"];
    const { stdout } = await capture("train", "--dry-run", ...args);
    expect(stdout).toMatch(/^# time: less than 1s for \d+ steps of \d*\.?\d*[1-9]\d* ms/m);
  });
});
