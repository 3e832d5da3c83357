/** Names of strangers in the C program: whatever they are, the compiler reads the same program. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../../src/convert/convert.ts";
import { comment } from "../../../src/convert/formats/c/names.ts";
import { buildCProgram } from "../../../src/convert/formats/c/program.ts";
import type { IntegerNetwork } from "../../../src/convert/integer-network.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { fullLayer } from "../../support/convert/descriptions.ts";
import { quantizedWith, randomNetwork } from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 25);
let folder = "";
let network: IntegerNetwork;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-names-"));
  const layers = (["conv", "concat", "maxPool", "residual"] as const).map((kind) => ({
    kind,
    channels: 2,
    ...fullLayer,
  }));
  const description = { channels: 2, height: 4, width: 4, layers, head: "globalAverage", seed: 5 } as const;
  const data = randomTensor(seeded(6), [2, 2, 4, 4]);
  const config = presetNamed("lsq", { weightBits: 3, activationBits: 4 });
  network = convert(await quantizedWith(randomNetwork(description), config, data), { input: { dtype: "float32" } });
});
afterAll(() => rmSync(folder, { recursive: true }));

const piece = fc.oneof(
  fc.constantFrom(
    "*/",
    "/*",
    "*",
    "/",
    "\\",
    "\\\n",
    "\n",
    "\r",
    "\r\n",
    "??/",
    "??/\n",
    "?",
    "*??/\n/",
    "*\\\n/",
    "//",
  ),
  fc.constantFrom(
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u0000",
    "\u001b]0;x\u0007",
    "\u0085",
    "\ud800",
    "\ufeff",
    '"',
  ),
  fc.constantFrom(
    "#define int char\n",
    "\n#error own\n",
    "int own(void){return 1;}",
    "round_code(",
    "nearest_level(",
    "%:",
  ),
  fc.constantFrom("static const int32_t a[9] = {", "x".repeat(300), "*".repeat(119), "層.conv1", ""),
  fc.string({ unit: "binary" }),
);
const hostile = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
const outputName = fc.oneof(
  hostile,
  fc.constantFrom("int", "input", "data", "memory", "run_1", "1", "INT32_MAX", "Input"),
);

/** The network with other names: of itself, of its operations in turn, and of its outputs. */
function renamed(names: readonly string[], outputs: readonly string[] = []): IntegerNetwork {
  const at = (list: readonly string[], i: number, own: string): string => list[i % list.length] ?? own;
  return {
    ...network,
    name: at(names, 0, network.name),
    operations: network.operations.map((operation, i) => ({ ...operation, name: at(names, i, operation.name) })),
    outputs: network.outputs.map((output, i) => ({ ...output, name: at(outputs, i, output.name) })),
  };
}

/** Returns the text without comments, after a compilation without a warning. */
function readByCompiler(source: IntegerNetwork, standard: string, arithmetic: "float" | "fixed"): string {
  const program = buildCProgram(source, { arithmetic });
  writeFileSync(join(folder, "network.h"), program.header);
  writeFileSync(join(folder, "network.c"), program.source);
  const gcc = (...flags: string[]) =>
    execFileSync("gcc", [`-std=${standard}`, "-trigraphs", ...flags, "network.c"], { cwd: folder, stdio: "pipe" });
  gcc("-Wall", "-Wextra", "-Werror", "-fsyntax-only");
  return gcc("-E", "-P").toString();
}

describe("the names of a C program", () => {
  for (const standard of ["c99", "gnu99"]) {
    it(`are no code, whatever they are: ${standard}`, () => {
      for (const arithmetic of ["float", "fixed"] as const) {
        const expected = readByCompiler(network, standard, arithmetic);
        fc.assert(
          fc.property(fc.array(hostile, { minLength: 1, maxLength: 8 }), (names) => {
            expect(readByCompiler(renamed(names), standard, arithmetic)).toBe(expected);
          }),
          { numRuns: runs },
        );
      }
    });
  }

  it("of outputs are identifiers that hide nothing", () => {
    const withoutNames = (text: string) => text.replaceAll(/\bout_\w*/g, "out_");
    const expected = withoutNames(readByCompiler(network, "c99", "float"));
    fc.assert(
      fc.property(outputName, (name) => {
        expect(withoutNames(readByCompiler(renamed([], [name]), "c99", "float"))).toBe(expected);
      }),
      { numRuns: runs },
    );
  });

  it("of two outputs stay apart", () => {
    const [first] = network.outputs;
    const twice = ["a.b", "A/b", "a_b_2"].map((name) => ({ tensor: first?.tensor ?? 0, name }));
    const { header } = buildCProgram({ ...network, outputs: twice });
    expect(header.match(/out_\w+/g)).toEqual(["out_a_b", "out_A_b_2", "out_a_b_2_2"]);
    expect(new Set(header.match(/NETWORK_A_B\w*_SIZE/g)).size).toBe(3);
  });

  it("stay readable where they are harmless, and are cut where they are long", () => {
    expect(comment("layer1.0/conv1 (層, é) [x]*2", ": note")).toBe("/* layer1.0/conv1 (層, é) [x]*2: note */\n");
    expect(comment("a*/b??/\\\n\u202e")).toBe("/* a*<2F>b<3F><3F>/<5C><A><202E> */\n");
    expect(comment("x".repeat(10_000)).length).toBeLessThan(140);
  });
});
