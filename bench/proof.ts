/**
 * Counts the codes in which the simulation and what was converted from it differ, over all 10,000 test images of Fashion-MNIST.
 *
 *     npm run build && npx tsx bench/proof.ts --data FOLDER [--only lsq,apot] [--bits 8,4,3,2] [--models resnet20]
 *     npx tsx bench/proof.ts --table      writes docs/proof.md from the cells that are finished, and runs nothing
 *
 * FOLDER holds the four Fashion-MNIST files (subbyte data fetch fashion-mnist). Each cell is a short training (the weights
 * need not be good, only trained) and a `subbyte convert --verify` of it: child processes of one thread each. A cell that
 * is finished is not run again, so the bench can be interrupted at any time.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Cell, cellsOf, isDone, type Model, models } from "./proof-cells.ts";
import { writePage } from "./proof-page.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    out: { type: "string", default: join("runs", "proof") },
    models: { type: "string", default: "resnet20,mobilenetv2" },
    only: { type: "string", default: "lsq,thread,pact,dorefa,apot" },
    bits: { type: "string", default: "4,2,3,8" },
    images: { type: "string", default: "1600" },
    batch: { type: "string", default: "8" },
    /** Images that the interpreter runs in every cell, and the cells in which it runs all. */
    interpret: { type: "string", default: "100" },
    whole: { type: "string", default: "lsq-W4A4" },
    parallel: { type: "string", default: "1" },
    table: { type: "boolean", default: false },
  },
});

const data = flags.data === undefined ? [] : ["--data", flags.data];
const cells = cellsOf({
  out: flags.out,
  models: flags.models.split(","),
  presets: flags.only.split(","),
  widths: flags.bits.split(",").map(Number),
  interpreted: Number(flags.interpret),
  whole: flags.whole.split(","),
});

/** Runs the command line to its end; its output is shown only when it fails. */
function subbyte(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += String(chunk);
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(text.trim().split("\n").slice(-3).join("\n")));
    });
  });
}

/** A training of one pass over a few images, unless it is there. */
async function trained(model: Model, name: string, more: readonly string[]): Promise<void> {
  const folder = join(flags.out, name);
  if (existsSync(join(folder, "summary.json"))) return;
  const limits = ["--set", `data.trainLimit=${flags.images}`, "--set", "data.testLimit=500"];
  const recipe = ["--batch", flags.batch, "--epochs", "1", "--no-diagnose", "--threads", "1", "--quiet"];
  const place = ["--out", flags.out, "--name", name, "--exist-ok"];
  await subbyte(["train", "--model", model.name, ...model.settings, ...data, ...limits, ...recipe, ...place, ...more]);
}

/** The first and the last layer in 8 bits of LSQ, where the paper leaves them in float and no integers could be made. */
function edges({ preset, model }: Cell): string[] {
  if (preset === "thread") return [];
  const overrides = model.ends.map((layer) => ({
    layer,
    weight: { quantizer: "lsq", bits: 8, signed: true, granularity: "channel" },
    activation: { quantizer: "lsq", bits: 8, signed: "auto", granularity: "tensor" },
  }));
  return ["--set", `quantization.overrides=${JSON.stringify(overrides)}`];
}

/** How the additions' branches get codes: in training, or when the run is converted. */
function residualFlags({ residual }: Cell, when: "training" | "conversion"): string[] {
  if (residual?.since !== when) return [];
  const bits = String(residual.bits);
  return when === "training" ? ["--set", `quantization.residualBits=${bits}`] : ["--residual-bits", bits];
}

async function runCell(cell: Cell): Promise<void> {
  const { model, preset, bits, run, folder } = cell;
  if (await isDone(cell)) return;
  const begin = performance.now();
  const quantization = ["--preset", preset, "--weight-bits", String(bits), "--activation-bits", String(bits)];
  const start = ["--from", join(flags.out, `${model.name}-float`), "--lr", String(cell.learningRate)];
  await trained(model, run, [...quantization, ...edges(cell), ...residualFlags(cell, "training"), ...start]);
  const proof = ["--verify", ...data, "--interpret", String(cell.interpreted), "--threads", "1", "--quiet"];
  const place = ["--out", folder, ...residualFlags(cell, "conversion")];
  await subbyte(["convert", join(flags.out, run), ...place, ...proof]);
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  process.stderr.write(`${folder}: ${(await isDone(cell)) ? "done" : "not done"} (${seconds} s)\n`);
}

async function runAll(): Promise<void> {
  const waiting = [...cells];
  for (const model of models.filter((each) => waiting.some((cell) => cell.model === each))) {
    await trained(model, `${model.name}-float`, ["--lr", "0.02"]);
  }
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { folder } = next;
      await runCell(next).catch((error: unknown) => {
        process.stderr.write(`${folder}: failed\n${error instanceof Error ? error.message : String(error)}\n`);
      });
    }
  };
  await Promise.all(Array.from({ length: Number(flags.parallel) }, worker));
}

if (!flags.table) await runAll();
await writePage(cells, { out: flags.out, steps: Math.ceil(Number(flags.images) / Number(flags.batch)) });
