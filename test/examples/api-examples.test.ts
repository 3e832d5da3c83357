/**
 * The examples in the doc comments of the public API: each is checked by the compiler and runs. They share a few names, which
 * are declared below: engine, data, network, quantized, config, runFolder, torchCode.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { inferTypes } from "../../src/compile/registry.ts";
import * as subbyte from "../../src/index.ts";
import { repositoryRoot } from "../support/repository.ts";
import { tinyConfig } from "../support/training/tiny-run.ts";

interface Example {
  readonly name: string;
  readonly code: string;
}

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2023.d.ts"],
  types: ["node"],
  allowImportingTsExtensions: true,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
};
const entry = join(repositoryRoot, "src", "index.ts");
const page = join(repositoryRoot, "test", "examples", "api-examples-page.ts");

/** What examples may use besides the public API. */
const shared = `
import { writeFile } from "node:fs/promises";
import { inferTypes } from "../../src/compile/registry.ts";
declare const engine: subbyte.Engine;
declare const data: subbyte.DatasetSplits;
declare const network: subbyte.Network;
declare const quantized: subbyte.QuantizedNetwork;
declare const config: ReturnType<typeof subbyte.resolveTrainingConfig>;
import type { OnnxRuntime } from "../../src/index.ts";
declare const runFolder: string;
declare const torchCode: string;
`;

/** The functions and classes that a module exports. */
function callablesOf(
  checker: ts.TypeChecker,
  file: ts.SourceFile,
): { readonly name: string; readonly symbol: ts.Symbol }[] {
  const module = checker.getSymbolAtLocation(file);
  return (module === undefined ? [] : checker.getExportsOfModule(module)).flatMap((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return target.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Class)
      ? [{ name: symbol.name, symbol: target }]
      : [];
  });
}

function examplesOf(checker: ts.TypeChecker, name: string, symbol: ts.Symbol): Example[] {
  return symbol
    .getJsDocTags(checker)
    .filter((tag) => tag.name === "example")
    .map((tag) => ({ name, code: ts.displayPartsToString(tag.text) }));
}

const reading = ts.createProgram([entry], options);
const checker = reading.getTypeChecker();
const source = reading.getSourceFile(entry);
const callables = source === undefined ? [] : callablesOf(checker, source);
const functions = callables.filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Function);
const examples = callables.flatMap(({ name, symbol }) => examplesOf(checker, name, symbol));
const names = Object.keys(subbyte);

/** A page with each example in a function of its own. */
function pageOf(list: readonly Example[]): string {
  const bodies = list.map(({ code }, index) => `export async function example${index}() {\n${code}\n}\n`);
  return `import * as subbyte from "../../src/index.ts";\nimport { ${names.join(", ")} } from "../../src/index.ts";\n${shared}${bodies.join("")}`;
}

/** What the compiler says of a page with examples, each time with the line. */
function mistakesIn(text: string): string[] {
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (file, language) =>
    file === page ? ts.createSourceFile(file, text, language) : getSourceFile(file, language);
  host.fileExists = (file) => file === page || fileExists(file);
  host.readFile = (file) => (file === page ? text : readFile(file));
  const program = ts.createProgram([page], options, host);
  const file = program.getSourceFile(page);
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  const lines = text.split("\n");
  return found.map(({ start = 0, messageText }) => {
    const line = text.slice(0, start).split("\n").length;
    return `${lines[line - 1]}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
  });
}

describe("the examples of the public API", () => {
  let folder = "";
  const values: Record<string, unknown> = {};
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "subbyte-examples-"));
    process.chdir(repositoryRoot);
    const engine = subbyte.nodeEngine({ threads: 1 });
    const config = tinyConfig({
      model: { name: "lenet" },
      data: { trainLimit: 64, testLimit: 32 },
      train: { epochs: 1, batchSize: 32 },
      quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
    });
    const data = await subbyte.openDataset("fashion-mnist-part", { trainLimit: 64, testLimit: 32 });
    const network = subbyte.makeModel(
      "lenet",
      { sampleShape: data.train.sampleShape, classes: 10 },
      subbyte.randomStream(0, "weights"),
    );
    const quantized = subbyte.quantize(network, subbyte.presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    const { paths } = await subbyte.startRun({ config, parent: folder, name: "tiny" });
    const torchCode = "qconfig = QConfig(activation=default_fake_quant, weight=default_weight_fake_quant)";
    Object.assign(values, { engine, config, data, network, quantized, runFolder: paths.folder, torchCode });
    Object.assign(values, { inferTypes });
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are there for every function", () => {
    expect(functions.length).toBeGreaterThan(60);
    const known = new Set(examples.map(({ name }) => name));
    expect(functions.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
  });

  it("are correct TypeScript", () => {
    expect(mistakesIn(pageOf(examples))).toEqual([]);
  }, 60_000);

  it.each(["index.ts", "browser.ts"])(
    "at the head of %s is correct TypeScript",
    (name) => {
      const head = readFileSync(join(repositoryRoot, "src", name), "utf8").split("*/")[0] ?? "";
      const code = (head.split("@example")[1] ?? "").replaceAll(/^ \* ?/gm, "");
      expect(code).toContain("makeModel(");
      expect(mistakesIn(`import { ${names.join(", ")} } from "../../src/index.ts";\n${code}`)).toEqual([]);
    },
    60_000,
  );

  it.each(examples.map(({ name, code }) => [name, code] as const))(
    "%s runs",
    async (_name, code) => {
      const { outputText } = ts.transpileModule(`async function example() {\n${code}\n}`, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      const log = vi.spyOn(console, "log").mockImplementation(() => {});
      try {
        // Examples write into the working folder.
        const writeHere = (file: string, content: string | Uint8Array) => writeFile(join(folder, file), content);
        const here: typeof subbyte = {
          ...subbyte,
          importOnnxFile: (file, given) => subbyte.importOnnxFile(join(folder, file), given),
          loadPlugin: (file) => subbyte.loadPlugin(join(folder, file)),
          startRun: (run, listeners) => subbyte.startRun({ ...run, parent: join(folder, run.parent) }, listeners),
        };
        const scope: Record<string, unknown> = { ...here, ...values, writeFile: writeHere };
        const run = new Function(...Object.keys(scope), `${outputText}\nreturn example();`);
        await run(...Object.values(scope));
        expect(log).toHaveBeenCalled();
      } finally {
        log.mockRestore();
      }
    },
    60_000,
  );
});
