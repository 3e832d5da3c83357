/**
 * What today's PyTorch exports, trained at low bits and converted: every network of a folder, each in a process of its own.
 *
 *     python3 scripts/export-networks.py FOLDER
 *     npx tsx bench/networks.ts FOLDER --results FILE [--only resnet8,gpt [--again]] [--python PYTHON-WITH-ONNXRUNTIME]
 *     npx tsx bench/networks.ts FOLDER --results FILE --page     writes docs/networks.md and measures nothing
 *
 * Each line of FILE is one network; what is there is not measured again, so the bench can be stopped at any time (Ctrl-C writes
 * nothing of the network at hand). At the end docs/networks.md is written from the whole file. Small networks come first.
 */
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Limits, measureApart } from "./networks/child.ts";
import type { MeasureOptions } from "./networks/measure.ts";
import { networksPage } from "./networks/page.ts";
import { type Description, descriptionSchema, isExact, parseRows, type Row } from "./networks/row.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    results: { type: "string", default: join("runs", "networks.jsonl") },
    only: { type: "string" },
    /** Measures what is in the file again; its newest line counts. */
    again: { type: "boolean", default: false },
    steps: { type: "string", default: "48" },
    /** Steps of networks above `large` parameters. */
    "large-steps": { type: "string", default: "8" },
    large: { type: "string", default: "3000000" },
    batch: { type: "string", default: "8" },
    bits: { type: "string", default: "4" },
    /** Learning rate of Adam; weights that are trained already want a lower one. */
    rate: { type: "string", default: "0.001" },
    /** Samples whose codes are compared, and those that the interpreter runs. */
    verified: { type: "string", default: "8" },
    interpreted: { type: "string", default: "2" },
    /** The most parameters of a network whose C program is compiled; 0: none. */
    c: { type: "string", default: "400000" },
    python: { type: "string", default: "" },
    seconds: { type: "string", default: "600" },
    megabytes: { type: "string", default: "6000" },
    page: { type: "boolean", default: false },
  },
});
const [folder = "networks"] = positionals;
const page = fileURLToPath(new URL("../docs/networks.md", import.meta.url));

async function describedIn(path: string): Promise<Description[]> {
  const names = (await readdir(path)).filter((name) => name.endsWith(".json"));
  const texts = await Promise.all(names.map((name) => readFile(join(path, name), "utf8")));
  return texts
    .map((text) => descriptionSchema.parse(JSON.parse(text)))
    .sort((a, b) => a.parameters - b.parameters || (a.name < b.name ? -1 : 1));
}

async function rowsOf(path: string): Promise<Row[]> {
  return parseRows(await readFile(path, "utf8").catch(() => ""));
}

function optionsFor({ parameters }: Description): MeasureOptions {
  const isLarge = parameters > Number(flags.large);
  return {
    steps: Number(isLarge ? flags["large-steps"] : flags.steps),
    batch: Number(flags.batch),
    bits: Number(flags.bits),
    rate: Number(flags.rate),
    verified: isLarge ? Math.min(2, Number(flags.verified)) : Number(flags.verified),
    interpreted: isLarge ? Math.min(1, Number(flags.interpreted)) : Number(flags.interpreted),
    c: Number(flags.c),
    python: flags.python,
  };
}

function shown(row: Row): string {
  if (isExact(row)) return "integers, 0 codes differ";
  const different = row.programs?.find(({ mismatches }) => mismatches > 0);
  return row.ended ?? row.converted?.[0] ?? different?.first ?? "C differs";
}

async function measureAll(networks: readonly Description[], signal: AbortSignal): Promise<void> {
  const limits: Limits = { seconds: Number(flags.seconds), megabytes: Number(flags.megabytes) };
  const done = new Set(flags.again ? [] : (await rowsOf(flags.results)).map(({ name }) => name));
  const left = networks.filter(({ name }) => !done.has(name));
  await mkdir(dirname(flags.results), { recursive: true });
  const start = performance.now();
  for (const [i, description] of left.entries()) {
    const row = await measureApart(folder, description, optionsFor(description), limits, signal);
    if (row === undefined) return;
    await appendFile(flags.results, `${JSON.stringify(row)}\n`);
    const each = (performance.now() - start) / (i + 1);
    const minutes = ((left.length - i - 1) * each) / 60_000;
    console.log(
      `${i + 1} of ${left.length}  ${row.name} (${row.seconds} s): ${shown(row)}  [at least ${minutes.toFixed(0)} min left]`,
    );
  }
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
const known = await describedIn(folder);
const wanted = flags.only?.split(",");
if (!flags.page)
  await measureAll(wanted === undefined ? known : known.filter(({ name }) => wanted.includes(name)), stop.signal);
const rows = await rowsOf(flags.results);
if (rows.length > 0) {
  const measured = new Set(rows.map(({ name }) => name));
  const pending = known.flatMap(({ name }) => (measured.has(name) ? [] : [name]));
  await writeFile(page, networksPage({ rows, pending, date: new Date().toISOString().slice(0, 10) }));
  console.log(
    `${rows.filter(isExact).length} of ${rows.length} reach integers with 0 differing codes; ${page} is written`,
  );
}
if (stop.signal.aborted) process.exitCode = 130;
