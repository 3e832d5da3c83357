/** Names of layers, files and classes from outside: whatever they hold, no command gives the terminal a command. @slow */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Line, writeLines } from "../../src/cli/output.ts";
import { findingsText } from "../../src/cli/view/findings-text.ts";
import { tableLines } from "../../src/cli/view/table.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { capture } from "../support/machine/capture.ts";
import { onnxModel, ramp } from "../support/onnx/model.ts";
import { seededParameters } from "../support/random.ts";

/** Clears the screen, hides text, sets the title, returns the carriage, turns the writing, and forges a line. */
const evil = "a\u001b[2J\u001b[8m\u001b]0;t\u0007\rb\u009b31m\u202ec\u2066\tFORGED\nFORGED: no problems";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const commands = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const name = fc.string({
  minLength: 1,
  maxLength: 12,
  unit: fc.oneof(
    fc.constantFrom("\u001b", "\u001b[2J", "\r", "\n", "\nFORGED", "\u0007", "\u009b", "\u202e", "\u2028", "\t", "\b"),
    fc.constantFrom("conv", ".", "層", "e"),
  ),
});

/** Expects text that stays where it is printed: no command, and no line that a name began. */
function expectHarmless(text: string): void {
  expect(text).not.toMatch(commands);
  expect(text.split("\n").filter((line) => line.startsWith("FORGED"))).toEqual([]);
}

let top = "";
let folder = "";
let model = "";
let data = "";
let run = "";

/** A perceptron whose every name is given. */
function perceptron(text: string): Uint8Array {
  return onnxModel({
    inputs: { x: ["N", 2] },
    outputs: ["y"],
    nodes: [
      ["Gemm", ["x", `${text}.w1`], [`${text}.h`]],
      ["Relu", [`${text}.h`], [`${text}.r`]],
      ["Gemm", [`${text}.r`, `${text}.w2`], ["y"]],
    ],
    initializers: { [`${text}.w1`]: ramp(2, 4), [`${text}.w2`]: ramp(4, 3) },
  });
}

function labelled(label: string): string {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const rows = Array.from({ length: 60 }, (_, row) => `${row % 7},${(row * 3) % 5},${quoted(`${label}${row % 3}`)}`);
  return ["a,b,y", ...rows, ""].join("\n");
}

beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), "subbyte-hostile-"));
  folder = join(top, evil);
  mkdirSync(folder);
  model = join(folder, `${evil}.onnx`);
  data = join(folder, `${evil}.csv`);
  writeFileSync(model, perceptron(evil));
  // Tables with control characters are refused; what turns the writing and breaks lines is not.
  writeFileSync(data, labelled("\u202ec\u2066\nFORGED: no problems"));
  run = join(folder, "run");
}, 60_000);
afterAll(() => rmSync(top, { recursive: true }));

describe("hostile names", () => {
  it("stay text in lines, tables and findings", () => {
    fc.assert(
      fc.property(name, (text) => {
        let printed = "";
        const stream = { write: (part: string) => (printed += part) };
        const finding = {
          cause: "reduced-range" as const,
          title: `The range of ${text}`,
          layers: [text],
          evidence: [{ measurement: text, layer: text, value: 1, supports: true }],
          confidence: 0.9,
          remedy: { title: text, changes: { [text]: text } },
        };
        const lines: Line[] = [text, [text, { text, styles: ["red"] }], ...tableLines([text], [[text], [text]], 30)];
        writeLines(stream, [...lines, ...findingsText([finding], { verbose: true, records: [] })]);
        expectHarmless(printed);
        expect(printed.split("\n")).toHaveLength(1 + 1 + 6 + 4 + 1);
      }),
    );
  });

  it("stay text where a model is read", async () => {
    const property = fc.asyncProperty(name, async (text) => {
      const file = join(top, "model.onnx");
      writeFileSync(file, perceptron(text));
      for (const args of [
        ["inspect", file, "-v"],
        ["import", file, "-v"],
        ["explain", "lsq", file, "-v"],
      ]) {
        const { stdout, stderr } = await capture(...args);
        expectHarmless(stdout + stderr);
      }
    });
    await fc.assert(property, { numRuns: 20 });
  }, 60_000);

  it("stay text where data are read", async () => {
    const property = fc.asyncProperty(name, async (text) => {
      const file = join(top, "data.csv");
      writeFileSync(file, labelled(text));
      const { stdout, stderr } = await capture("data", "info", file, "-v");
      expectHarmless(stdout + stderr);
    });
    await fc.assert(property, { numRuns: 20 });
  }, 60_000);

  it("stay text in errors of the command line itself", async () => {
    const property = fc.asyncProperty(name, async (text) => {
      for (const args of [[`x${text}`], ["train", `--${text}`], ["eval", `x${text}`], ["demo", "--seed", `x${text}`]]) {
        const { stdout, stderr, code } = await capture(...args);
        expect(code).not.toBe(0);
        expectHarmless(stdout + stderr);
      }
    });
    await fc.assert(property, { numRuns: 20 });
  }, 60_000);

  it("stay text from training to deployment", async () => {
    const recipe = "--preset lsq --weight-bits 4 --activation-bits 4 --epochs 1 --batch 8 --threads 1".split(" ");
    const trained = await capture(
      "train",
      "--model",
      model,
      "--data",
      data,
      ...recipe,
      "--out",
      folder,
      "--name",
      "run",
    );
    expect(trained.stderr).not.toContain("error");
    expect(trained.code).toBe(0);
    expectHarmless(trained.stdout + trained.stderr);
    const threads = ["--threads", "1"];
    for (const args of [
      ["eval", run, "-v", ...threads],
      ["diagnose", run, "--ablate", "-v", ...threads],
      ["compare", run, model, "-v", ...threads],
      ["convert", run, "--verify", "-v", ...threads],
      ["report", run, "-v"],
      ["explain", run, "-v", ...threads],
      [
        "mix",
        run,
        "--budget",
        "W6A6",
        "--weight-bits",
        "4,8",
        "--activation-bits",
        "4,8",
        "--samples",
        "16",
        "-v",
        "--first-and-last",
      ],
      ["train", "--resume", run],
      ["study", "--dry-run", "--batch", "16", "--model", "mlp", "--data", data, "--out", folder],
    ]) {
      const { stdout, stderr, code } = await capture(...args);
      expect(code, `${args[0]}: ${stderr}`).toBe(0);
      expectHarmless(stdout + stderr);
    }
    // There is no study: an error that quotes names.
    const { stdout, stderr, code } = await capture("study", "--resume", folder);
    expect(code).toBeGreaterThan(0);
    expectHarmless(stdout + stderr);
  }, 120_000);

  // ONNX Runtime's profiler escapes nothing: a quote in a node's name ends it, and a backslash changes what follows.
  it("stay the names of the layers that a profile counts for", async () => {
    const layers = [evil, 'a"b', "a\\b", 'a\\","name":"x'];
    const network = new NetworkBuilder("hostile", seededParameters(1));
    const features = layers.reduce((x, layer) => network.linear(layer, x, 4), network.input("x", [2]));
    const file = join(folder, "layers.onnx");
    writeFileSync(file, exportOnnx(network.finish(network.linear("last", features, 3))));
    const profile = ["profile", "--model", file, "--data", data, "--batch", "8", "--steps", "1", "--threads", "1"];
    const { code, stdout, stderr } = await capture(...profile, "--layers", "9");
    expect(code, stderr).toBe(0);
    expectHarmless(stdout + stderr);
    const json = await capture(...profile, "--json");
    const counted = z
      .object({ layers: z.array(z.object({ layer: z.string() })) })
      .parse(JSON.parse(json.stdout)).layers;
    expect(counted.map(({ layer }) => layer)).toEqual(expect.arrayContaining(layers));
  }, 60_000);
});
