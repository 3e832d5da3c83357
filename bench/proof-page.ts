/** Writes docs/proof.md from the proofs that are finished. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProgramResult, VerificationResult } from "../src/convert/prove/verify.ts";
import { writeFileAtomic } from "../src/io/atomic-file.ts";
import { type Cell, type Model, models, programOf, resultOf, testImages } from "./proof-cells.ts";
import type { RandomNetworksResult } from "./random-networks.ts";

const page = fileURLToPath(new URL("../docs/proof.md", import.meta.url));

const titles: Readonly<Record<string, string>> = {
  lsq: "LSQ",
  thread: "the thread's affine",
  pact: "PACT",
  dorefa: "DoReFa",
  apot: "APoT",
};

export interface PageOptions {
  /** Where the proofs of random networks lie too. */
  readonly out: string;
  /** Training steps of each network. */
  readonly steps: number;
}

interface Found {
  readonly cell: Cell;
  readonly result: VerificationResult | undefined;
}

/** Writes the page, and prints it. */
export async function writePage(cells: readonly Cell[], { out, steps }: PageOptions): Promise<void> {
  const found = await Promise.all(cells.map(async (cell) => ({ cell, result: await resultOf(cell) })));
  const sections = models.map((model) =>
    section(
      model,
      found.filter(({ cell }) => cell.model === model),
    ),
  );
  const text = `<!-- written by bench/proof.ts -->
# The proof: mismatching codes over Fashion-MNIST

Every code of every layer, and every logit, of the exact simulation, compared with what was converted from it: over all
${number(testImages)} test images with the \`int\` file on ONNX Runtime, over as many images as the tables say with the reference interpreter.

Each network has been trained for ${steps} steps in float and as many with its quantizers: enough to have learned weights, statistics
and scales. Its first and last layer have 8 bits of LSQ (PACT's and DoReFa's papers leave them in float, which has no
integers), except with the thread's configuration, which is unchanged.

    npm run build && npx tsx bench/proof.ts --data FOLDER

${[...sections, await randomNetworks(out)].join("\n")}`;
  await writeFileAtomic(page, [new TextEncoder().encode(text)]);
  process.stdout.write(text);
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function counts(program: ProgramResult | undefined): string {
  return program === undefined ? "not run" : `${number(program.mismatches)} of ${number(program.compared)}`;
}

function section(model: Model, found: readonly Found[]): string {
  const grid = found.filter(({ cell }) => cell.residual === undefined);
  const done = grid.filter(({ result }) => result !== undefined);
  if (done.length === 0) return `## ${model.title}\n\nNot run yet: ${grid.length} cells.\n`;
  const widths = [...new Set(grid.map(({ cell }) => cell.bits))].sort((a, b) => b - a);
  const presets = [...new Set(grid.map(({ cell }) => cell.preset))];
  const rows = presets.map((preset) => {
    const marks = widths.map((bits) => {
      const at = grid.find(({ cell }) => cell.preset === preset && cell.bits === bits);
      return counts(at?.result && programOf(at.result, "onnx int"));
    });
    return `| ${titles[preset] ?? preset} | ${marks.join(" | ")} |`;
  });
  return `## ${model.title}

Simulation against ONNX Runtime, ${number(testImages)} images a cell, ${done.length} of ${grid.length} cells:

| mismatches of codes | ${widths.map((bits) => `W${bits}A${bits}`).join(" | ")} |
|---|${"---:|".repeat(widths.length)}
${rows.join("\n")}

- The \`int\` file on ONNX Runtime: ${total(done, "onnx int")}.
${interpreted(done)}
${residual(found.filter(({ cell }) => cell.residual !== undefined))}`;
}

/** "0 of 56,162,500 codes differ" over several cells. */
function total(done: readonly Found[], name: "onnx int" | "interpreter"): string {
  const programs = done.flatMap(({ result }) => (result === undefined ? [] : [programOf(result, name)]));
  const sum = (value: (program: ProgramResult) => number) =>
    number(programs.reduce((all, program) => all + (program === undefined ? 0 : value(program)), 0));
  return `${sum(({ mismatches }) => mismatches)} of ${sum(({ compared }) => compared)} codes differ`;
}

/** One line for each number of images that the interpreter ran. */
function interpreted(done: readonly Found[]): string {
  const samplesOf = ({ result }: Found) => (result && programOf(result, "interpreter"))?.samples ?? 0;
  const sizes = [...new Set(done.map(samplesOf))].sort((a, b) => b - a);
  return sizes
    .map((size) => {
      const cells = done.filter((each) => samplesOf(each) === size);
      const names = cells.map(({ cell }) => `${titles[cell.preset] ?? cell.preset} W${cell.bits}A${cell.bits}`);
      const which = cells.length > 6 ? `${cells.length} cells` : names.join(", ");
      return `- The reference interpreter, ${number(size)} images each of ${which}: ${total(cells, "interpreter")}.\n`;
    })
    .join("");
}

function residual(found: readonly Found[]): string {
  if (found.every(({ result }) => result === undefined)) return "";
  const rows = found.map(({ cell, result }) => {
    const { bits = 0, since = "training" } = cell.residual ?? {};
    const judge = result && programOf(result, "interpreter");
    const way = since === "training" ? `trained with \`residualBits: ${bits}\`` : `\`convert --residual-bits ${bits}\``;
    const columns = [way, counts(result && programOf(result, "onnx int")), number(judge?.samples ?? 0), counts(judge)];
    return `| ${columns.join(" | ")} |`;
  });
  const [{ cell } = { cell: undefined }] = found;
  return `Codes in the additions, ${titles[cell?.preset ?? ""]} W${cell?.bits}A${cell?.bits}:

| | ONNX Runtime | images interpreted | the interpreter |
|---|---:|---:|---:|
${rows.join("\n")}
`;
}

/** The files that bench/random-networks.ts has left there. */
async function randomNetworks(out: string): Promise<string> {
  const names = existsSync(out) ? (await readdir(out)).filter((name) => /^random-networks-.*\.json$/.test(name)) : [];
  const results: RandomNetworksResult[] = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(out, name), "utf8"))),
  );
  if (results.length === 0) return "";
  const traits = [...new Set(results.flatMap((result) => Object.keys(result.traits)))].sort();
  const columns = ["networks", "mismatches of codes", ...traits];
  const rows = results
    .sort((a, b) => a.seed - b.seed)
    .map(({ seed, networks, mismatches, compared, traits: has }) => {
      const cells = [seed, number(networks), `${number(mismatches)} of ${number(compared)}`];
      return `| ${[...cells, ...traits.map((trait) => has[trait] ?? 0)].join(" | ")} |`;
    });
  return `## Random networks

Small networks drawn from a seed, with every preset that has integers, 8, 4, 3 and 2 bits, with and without codes in additions:
simulation against ONNX Runtime and against the interpreter. The columns on the right count the networks that have each feature.

| seed | ${columns.join(" | ")} |
|---:|${"---:|".repeat(columns.length)}
${rows.join("\n")}

    npx tsx bench/random-networks.ts --networks 1000 --seed SEED
`;
}
