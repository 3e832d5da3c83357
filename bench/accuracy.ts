/**
 * What each quantizer reaches on the full Fashion-MNIST with one recipe, and what the thread's configuration does.
 *
 *     npm run build && npx tsx bench/accuracy.ts --data FOLDER [--out runs/accuracy] [--epochs 2] [--only lsq,pact]
 *
 * FOLDER holds the four Fashion-MNIST files (subbyte data fetch fashion-mnist). Each cell is a run of its own in a child
 * process, as many side by side as there are cores, one thread each. A cell that is finished is not run again and one
 * that was stopped goes on, so the bench can be interrupted at any time. The table is written to docs/accuracy.md.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const table = fileURLToPath(new URL("../docs/accuracy.md", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    out: { type: "string", default: join("runs", "accuracy") },
    model: { type: "string", default: "resnet8" },
    "float-epochs": { type: "string", default: "6" },
    epochs: { type: "string", default: "3" },
    seed: { type: "string", default: "0" },
    only: { type: "string" },
    parallel: { type: "string", default: String(cpus().length) },
  },
});

interface Cell {
  readonly name: string;
  readonly preset: string;
  readonly weightBits: number;
  readonly activationBits: number;
}

interface Summary {
  readonly accuracy: number;
  readonly bestAccuracy: number;
  readonly levels: { readonly weights: number | null; readonly activations: number | null };
  readonly seconds: number;
}

const trained = ["lsq", "lsq+", "pact", "dorefa", "tqt", "ewgs", "n2uq", "apot", "minmax"];

function cells(): Cell[] {
  const chosen = flags.only?.split(",");
  const square = trained.flatMap((preset) =>
    [4, 3, 2].map((bits) => ({ name: `${preset}-W${bits}A${bits}`, preset, weightBits: bits, activationBits: bits })),
  );
  const thread = [8, 6, 5, 4].map((bits) => ({
    name: `thread-W4A${bits}`,
    preset: "thread",
    weightBits: 4,
    activationBits: bits,
  }));
  return [...square, ...thread].filter(({ preset }) => chosen === undefined || chosen.includes(preset));
}

function folderOf(name: string): string {
  return join(flags.out, `${flags.model}-${name}`);
}

async function summaryOf(name: string): Promise<Summary | undefined> {
  const file = join(folderOf(name), "summary.json");
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
  if ((await summaryOf(name)) !== undefined) return;
  const folder = folderOf(name);
  const started = existsSync(join(folder, "config.yaml"));
  const begin = performance.now();
  await subbyte(started ? ["train", "--resume", folder, "--quiet"] : ["train", ...args, "--quiet"]);
  const summary = await summaryOf(name);
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  process.stderr.write(`${name}: ${(100 * (summary?.accuracy ?? 0)).toFixed(2)} % (${minutes} min)\n`);
}

function common(name: string, epochs: string, rate: number): string[] {
  const data = flags.data === undefined ? [] : ["--data", flags.data];
  const place = ["--out", flags.out, "--name", `${flags.model}-${name}`];
  const recipe = [
    "--set",
    "data.crop=2",
    "--set",
    "data.flip=true",
    "--batch",
    "128",
    "--epochs",
    epochs,
    "--lr",
    String(rate),
  ];
  return ["--model", flags.model, ...data, ...recipe, "--seed", flags.seed, "--threads", "1", ...place];
}

async function runAll(): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  await run("float", common("float", flags["float-epochs"], 0.1));
  const waiting = cells();
  const worker = async (): Promise<void> => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const bits = ["--weight-bits", String(cell.weightBits), "--activation-bits", String(cell.activationBits)];
      const args = [
        ...common(cell.name, flags.epochs, 0.02),
        "--preset",
        cell.preset,
        ...bits,
        "--from",
        folderOf("float"),
      ];
      await run(cell.name, args).catch((error: unknown) => {
        failures.set(cell.name, error instanceof Error ? error.message : String(error));
        process.stderr.write(`${cell.name}: failed\n${failures.get(cell.name)}\n`);
      });
    }
  };
  await Promise.all(Array.from({ length: Number(flags.parallel) }, worker));
  return failures;
}

async function write(failures: ReadonlyMap<string, string>): Promise<void> {
  const float = await summaryOf("float");
  const show = async (name: string): Promise<string> => {
    const summary = await summaryOf(name);
    if (summary === undefined) return failures.has(name) ? "failed" : "";
    const difference = 100 * (summary.accuracy - (float?.accuracy ?? 0));
    return `${(100 * summary.accuracy).toFixed(2)} (${difference >= 0 ? "+" : "−"}${Math.abs(difference).toFixed(2)})`;
  };
  const rows = await Promise.all(
    trained.map(async (preset) => {
      const marks = await Promise.all([4, 3, 2].map((bits) => show(`${preset}-W${bits}A${bits}`)));
      return `| ${preset} | ${marks.join(" | ")} |`;
    }),
  );
  const thread = await Promise.all([8, 6, 5, 4].map((bits) => show(`thread-W4A${bits}`)));
  const levels = await Promise.all(
    [8, 6, 5, 4].map(async (bits) => (await summaryOf(`thread-W4A${bits}`))?.levels.activations ?? ""),
  );
  const text = `# Accuracy

Top-1 on the 10,000 test images of Fashion-MNIST after the last epoch, in percent, and the difference to float in points.
${flags.model}, all 60,000 training images, batch 128, crop 2 and flip; float ${flags["float-epochs"]} epochs at 0.1, then each cell
${flags.epochs} epochs from there at 0.02, SGD with momentum 0.9 and a cosine schedule; seed ${flags.seed}. First and last layer at 8 bits, but
for the thread's configuration and minmax, which treat all layers alike.

Command: \`npm run build && npx tsx bench/accuracy.ts --data FOLDER --model ${flags.model} --float-epochs ${flags["float-epochs"]} --epochs ${flags.epochs}\`

**float: ${(100 * (float?.accuracy ?? 0)).toFixed(2)}**

| quantizer | W4A4 | W3A3 | W2A2 |
|---|---:|---:|---:|
${rows.join("\n")}

The forum thread's configuration (EMA min-max, reduce_range, after every module), 4-bit weights:

| activation bits asked for | 8 | 6 | 5 | 4 |
|---|---:|---:|---:|---:|
| levels there are | ${levels.join(" | ")} |
| top-1 | ${thread.join(" | ")} |
`;
  await writeFile(table, text);
  process.stdout.write(text);
}

await write(await runAll());
