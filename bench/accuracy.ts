/**
 * What each quantizer reaches on the full Fashion-MNIST with one recipe, and what the thread's configuration does.
 *
 *     npm run build && npx tsx bench/accuracy.ts --data FOLDER [--model resnet8] [--only lsq,pact] [--bits 4,3,2]
 *     npx tsx bench/accuracy.ts --table      writes docs/accuracy.md from the runs that are finished, and trains nothing
 *
 * FOLDER holds the four Fashion-MNIST files (subbyte data fetch fashion-mnist). Each cell is a run of its own in a child
 * process, as many side by side as there are cores, one thread each. A finished cell is not run again and a stopped one
 * resumes, so the bench can be interrupted at any time. docs/accuracy.md has a table for each model of
 * which --out has a float run.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const page = fileURLToPath(new URL("../docs/accuracy.md", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    out: { type: "string", default: join("runs", "accuracy") },
    model: { type: "string", default: "resnet8" },
    "float-epochs": { type: "string", default: "6" },
    epochs: { type: "string", default: "2" },
    seed: { type: "string", default: "0" },
    only: { type: "string" },
    bits: { type: "string", default: "4,3,2" },
    parallel: { type: "string", default: String(cpus().length) },
    table: { type: "boolean", default: false },
  },
});

const models = ["resnet8", "resnet20"];
const floatRate = 0.1;
const rate = 0.02;

/** The first and the last layer of every network: LSQ at 8 bits, so that rows differ by what is in between alone. */
const ends = ["conv1", "fc"].map((layer) => ({
  layer,
  weight: { quantizer: "lsq", bits: 8, signed: true, granularity: "channel" },
  activation: { quantizer: "lsq", bits: 8, signed: "auto", granularity: "tensor" },
}));

const trained = ["lsq", "lsq+", "ewgs", "tqt", "pact", "n2uq", "apot", "dorefa", "minmax"];
const squareBits = [4, 3, 2];
const threadBits = [8, 6, 5, 4];

interface Cell {
  readonly name: string;
  readonly preset: string;
  readonly weightBits: number;
  readonly activationBits: number;
}

interface Summary {
  readonly accuracy: number;
  readonly epochs: number;
  readonly seed: number;
  readonly seconds: number;
  readonly levels: { readonly weights: number | null; readonly activations: number | null };
}

function cell(preset: string, weightBits: number, activationBits: number): Cell {
  return { name: `${preset}-W${weightBits}A${activationBits}`, preset, weightBits, activationBits };
}

/** The same epochs again without quantizers: what the longer training alone gives. */
const floatAgain: Cell = { name: "float-again", preset: "float", weightBits: 32, activationBits: 32 };

function cells(): Cell[] {
  const chosen = flags.only?.split(",");
  const bits = flags.bits.split(",").map(Number);
  const square = bits.flatMap((width) => trained.map((preset) => cell(preset, width, width)));
  const thread = threadBits.map((width) => cell("thread", 4, width));
  return [floatAgain, ...square, ...thread].filter(({ preset }) => chosen === undefined || chosen.includes(preset));
}

function folderOf(model: string, name: string): string {
  return join(flags.out, `${model}-${name}`);
}

async function summaryOf(model: string, name: string): Promise<Summary | undefined> {
  const file = join(folderOf(model, name), "summary.json");
  if (!existsSync(file)) return undefined;
  const summary: Summary = JSON.parse(await readFile(file, "utf8"));
  return summary;
}

/** Runs the command line to its end; its output is shown only when it fails. */
function subbyte(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += String(chunk);
    });
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(text.trim().split("\n").slice(-3).join("\n"))),
    );
  });
}

async function run(name: string, args: readonly string[]): Promise<void> {
  const { model } = flags;
  if ((await summaryOf(model, name)) !== undefined) return;
  const folder = folderOf(model, name);
  const isStarted = existsSync(join(folder, "config.yaml"));
  const begin = performance.now();
  await subbyte(isStarted ? ["train", "--resume", folder, "--quiet"] : ["train", ...args, "--quiet"]);
  const summary = await summaryOf(model, name);
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  process.stderr.write(`${model} ${name}: ${percent(summary?.accuracy ?? 0)} % (${minutes} min)\n`);
}

function common(name: string, epochs: string, learningRate: number): string[] {
  const data = flags.data === undefined ? [] : ["--data", flags.data];
  const recipe = ["--batch", "128", "--epochs", epochs, "--lr", String(learningRate), "--seed", flags.seed];
  const settings = ["--set", "data.crop=2", "--set", "data.flip=true", "--no-diagnose", "--threads", "1"];
  const place = ["--out", flags.out, "--name", `${flags.model}-${name}`];
  return ["--model", flags.model, ...data, ...recipe, ...settings, ...place];
}

async function runCell({ name, preset, weightBits, activationBits }: Cell): Promise<void> {
  const bits =
    preset === "float" ? [] : ["--weight-bits", String(weightBits), "--activation-bits", String(activationBits)];
  const edges =
    preset === "thread" || preset === "float" ? [] : ["--set", `quantization.overrides=${JSON.stringify(ends)}`];
  const start = ["--from", folderOf(flags.model, "float")];
  await run(name, [...common(name, flags.epochs, rate), "--preset", preset, ...bits, ...edges, ...start]);
}

async function runAll(): Promise<void> {
  await run("float", common("float", flags["float-epochs"], floatRate));
  const waiting = cells();
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name } = next;
      await runCell(next).catch((error: unknown) => {
        process.stderr.write(`${name}: failed\n${error instanceof Error ? error.message : String(error)}\n`);
      });
    }
  };
  await Promise.all(Array.from({ length: Number(flags.parallel) }, worker));
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

/** A run's accuracy and its distance from float; empty where there is no such run. */
function mark(summary: Summary | undefined, float: Summary): string {
  if (summary === undefined) return "";
  const difference = 100 * (summary.accuracy - float.accuracy);
  return `${percent(summary.accuracy)} (${difference >= 0 ? "+" : "−"}${Math.abs(difference).toFixed(2)})`;
}

function distinct(values: readonly number[]): string {
  return [...new Set(values)].sort((a, b) => a - b).join(" and ");
}

/** The tables of one model; undefined where its float run is missing. */
async function section(model: string): Promise<string | undefined> {
  const float = await summaryOf(model, "float");
  if (float === undefined) return undefined;
  const again = await summaryOf(model, floatAgain.name);
  const found: Summary[] = again === undefined ? [] : [again];
  const look = async (preset: string, weightBits: number, activationBits: number): Promise<Summary | undefined> => {
    const summary = await summaryOf(model, cell(preset, weightBits, activationBits).name);
    if (summary !== undefined) found.push(summary);
    return summary;
  };
  const rows: string[] = [];
  for (const preset of trained) {
    const marks: string[] = [];
    for (const bits of squareBits) marks.push(mark(await look(preset, bits, bits), float));
    if (marks.some((text) => text !== "")) rows.push(`| ${preset} | ${marks.join(" | ")} |`);
  }
  const thread: (Summary | undefined)[] = [];
  for (const bits of threadBits) thread.push(await look("thread", 4, bits));
  const threadTable = `
The forum thread's configuration (EMA min-max, reduce_range, per-module placement, all layers alike), 4-bit weights:

| requested activation bits | ${threadBits.join(" | ")} |
|---|${"---:|".repeat(threadBits.length)}
| effective levels | ${thread.map((summary) => summary?.levels.activations ?? "").join(" | ")} |
| top-1 | ${thread.map((summary) => mark(summary, float)).join(" | ")} |
`;
  const minutes = [float, ...found].reduce((sum, { seconds }) => sum + seconds, 0) / 60;
  return `## ${model}

Float ${float.epochs} epochs, each cell ${distinct(found.map(({ epochs }) => epochs))} epochs from there; seed ${distinct(
    [float, ...found].map(({ seed }) => seed),
  )}; ${Math.round(minutes)} minutes of one core in all.

**float: ${percent(float.accuracy)}**${again === undefined ? "" : `; trained for the same epochs again, as each cell is: ${mark(again, float)}`}

| quantizer | W4A4 | W3A3 | W2A2 |
|---|---:|---:|---:|
${rows.join("\n")}
${thread.every((summary) => summary === undefined) ? "" : threadTable}`;
}

async function write(): Promise<void> {
  const sections = (await Promise.all(models.map(section))).filter((text) => text !== undefined);
  const measured = `<!-- written by bench/accuracy.ts -->
# Accuracy

Top-1 on the 10,000 test images of Fashion-MNIST after the last epoch, in percent, and the difference to float in points.
All 60,000 training images, batch 128, crop 2 and flip; float at a learning rate of ${floatRate}, then each cell from there
at ${rate}; SGD with momentum 0.9, weight decay 1e-4 (none for quantizers) and a cosine schedule, one recipe for all. Except in
the thread's rows the first and the last layer are LSQ at 8 bits, so that the rows differ only in the layers between them.

    npm run build && npx tsx bench/accuracy.ts --data FOLDER --model MODEL --float-epochs N --epochs N --seed N

${sections.join("\n")}`;
  await writeFile(page, `${measured.trimEnd()}\n${await notes()}`);
  process.stdout.write(measured);
}

/** What a person wrote below the tables stays. */
async function notes(): Promise<string> {
  if (!existsSync(page)) return "";
  const text = await readFile(page, "utf8");
  const start = text.indexOf("\n## Conclusions");
  return start < 0 ? "" : text.slice(start);
}

if (!flags.table) await runAll();
await write();
