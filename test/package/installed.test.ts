/**
 * The packed package in an empty folder, installed from the npm registry alone: the command, the library, its types, and the
 * browser entry. Skipped where there is no build or the registry is not reachable. @slow
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { repositoryRoot } from "../support/repository.ts";

let folder = "";
/** Why there is nothing to test here; undefined where the package is installed. */
let reason: string | undefined;

/** Nothing but the registry: onnxruntime-node's script would go to nuget.org by this proxy, which does not exist. */
function npm(args: readonly string[], cwd: string) {
  const { ONNXRUNTIME_NODE_INSTALL: _, npm_config_onnxruntime_node_install: __, ...rest } = process.env;
  const env = {
    ...rest,
    GLOBAL_AGENT_HTTPS_PROXY: "http://127.0.0.1:9",
    GLOBAL_AGENT_HTTP_PROXY: "http://127.0.0.1:9",
  };
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000"];
  return spawnSync("npm", [...args, ...quiet], { cwd, env, encoding: "utf8" });
}

beforeAll(() => {
  if (!existsSync(join(repositoryRoot, "dist", "index.js"))) {
    reason = "there is no build: run npm run build";
    return;
  }
  folder = mkdtempSync(join(tmpdir(), "subbyte-package-"));
  const packed = npm(["pack", "--ignore-scripts", "--pack-destination", folder], repositoryRoot);
  expect(packed.status, packed.stderr).toBe(0);
  const [file] = readdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  const installed = npm(["install", `./${file}`], folder);
  const isUnreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b/;
  if (installed.status !== 0 && isUnreachable.test(installed.stderr) && !/onnxruntime-node/.test(installed.stderr)) {
    reason = "the npm registry is not reachable";
    return;
  }
  expect(installed.status, installed.stderr).toBe(0);
}, 300_000);
afterAll(() => {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
}, 120_000);

/** Runs a module of the project that installed the package. */
function run(name: string, code: string) {
  writeFileSync(join(folder, name), code);
  return spawnSync(process.execPath, [name], { cwd: folder, encoding: "utf8" });
}

function requireInstalled(context: TestContext): void {
  context.skip(reason !== undefined, reason);
}

const program = `
import { writeFile } from "node:fs/promises";
import {
  calibrate, convert, inputOf, loadFashionMnist, makeModel, nodeEngine, presets, quantize, randomStream, recipeOf,
  resolveTrainingConfig, writeInteger,
  type IntegerFormat, type ImageInput, type ModelName, type PresetName,
} from "subbyte";

const data = await loadFashionMnist();
const name: ModelName = "lenet";
const preset: PresetName = "lsq";
const network = makeModel(name, { sampleShape: data.train.sampleShape, classes: 10 }, randomStream(0, "weights"));
const quantized = quantize(network, presets[preset]({ weightBits: 4, activationBits: 4 }));
const ready = await calibrate(quantized, data.train, Int32Array.of(0, 1, 2, 3), nodeEngine({ threads: 1 }));
const input: ImageInput = inputOf(data.train);
const integers = convert(ready, { data });
const format: IntegerFormat = "c";
for (const file of writeInteger(integers, format)) await writeFile(file.name, file.parts);
const config = resolveTrainingConfig({ name: "mine", text: "{}" });
console.log(input.dtype, integers.operations.length > 5, recipeOf(config, data.train).batchSize);
`;

describe("the packed package", () => {
  it("is installed without the libraries for CUDA", (context) => {
    requireInstalled(context);
    const bin = join(folder, "node_modules", "onnxruntime-node", "bin", "napi-v6", process.platform, process.arch);
    const cuda = statSync(join(bin, "libonnxruntime_providers_cuda.so"), { throwIfNoEntry: false });
    expect(cuda?.size ?? 0).toBe(0);
    const own = join(folder, "node_modules", "subbyte");
    for (const file of ["docs/integer.md", "examples/thread-study.yaml"])
      expect(existsSync(join(own, file))).toBe(true);
    expect(readdirSync(join(own, "dist")).filter((file) => file.endsWith(".map"))).toEqual([]);
  });

  it("has a command that trains", (context) => {
    requireInstalled(context);
    const bin = join(folder, "node_modules", ".bin", "subbyte");
    const limits = ["--set", "data.trainLimit=64", "--set", "data.testLimit=32", "--batch", "16", "--epochs", "1"];
    const args = ["train", "--model", "lenet", "--preset", "lsq", ...limits, "--name", "w4", "--no-diagnose", "--json"];
    const trained = spawnSync(bin, args, { cwd: folder, encoding: "utf8" });
    expect(trained.status, trained.stderr).toBe(0);
    expect(JSON.parse(trained.stdout)).toMatchObject({ steps: 4, model: "lenet" });
    const converted = spawnSync(bin, ["convert", "runs/w4", "--json"], { cwd: folder, encoding: "utf8" });
    expect(converted.status, converted.stderr).toBe(0);
    expect(JSON.parse(converted.stdout)).toMatchObject({ deployment: { samples: 32 } });
  }, 60_000);

  it("is a library, with types in strict projects", (context) => {
    requireInstalled(context);
    const { outputText } = ts.transpileModule(program, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    const { status, stdout, stderr } = run("program.mjs", outputText);
    expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: "", stdout: "uint8 true 64\n" });
    expect(existsSync(join(folder, "network.c"))).toBe(true);
    writeFileSync(join(folder, "program.ts"), program);
    const strict = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true };
    const checked = ts.createProgram([join(folder, "program.ts")], {
      ...strict,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
      types: ["node"],
      typeRoots: [join(repositoryRoot, "node_modules", "@types")],
      skipLibCheck: true,
    });
    const found = ts.getPreEmitDiagnostics(checked);
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "))).toEqual([]);
  }, 120_000);

  it("loads from CommonJS", (context) => {
    requireInstalled(context);
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    context.skip(major < 20 || (major === 20 && minor < 19), "this Node.js cannot require modules");
    const { status, stdout } = run("program.cjs", 'console.log(typeof require("subbyte").train);');
    expect({ status, stdout }).toEqual({ status: 0, stdout: "function\n" });
  });

  it("has an entry for browsers", async (context) => {
    requireInstalled(context);
    const entry = 'export { convert, recipeOf, train, webEngine, writeInteger } from "subbyte/browser";';
    writeFileSync(join(folder, "page.js"), entry);
    const outfile = join(folder, "page.mjs");
    await build({ entryPoints: [join(folder, "page.js")], bundle: true, platform: "browser", format: "esm", outfile });
    const page: unknown = await import(outfile);
    for (const name of ["convert", "recipeOf", "train", "webEngine", "writeInteger"]) {
      expect(page).toHaveProperty(name, expect.any(Function));
    }
  }, 60_000);
});
