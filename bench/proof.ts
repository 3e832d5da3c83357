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
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { VerificationResult } from "../src/convert/verify.ts";
import { writeFileAtomic } from "../src/data/atomic-file.ts";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const page = fileURLToPath(new URL("../docs/proof.md", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    data: { type: "string" },
    out: { type: "string", default: join("runs", "proof") },
    models: { type: "string", default: "resnet20,mobilenetv2" },
    only: { type: "string", default: "lsq,thread,pact,dorefa,apot" },
    bits: { type: "string", default: "4,2,3,8" },
    images: { type: "string", default: "1600" },
    batch: { type: "string", default: "8" },
    interpret: { type: "string", default: "50" },
    parallel: { type: "string", default: "1" },
    table: { type: "boolean", default: false },
  },
});

const data = flags.data === undefined ? [] : ["--data", flags.data];

interface Model {
  readonly name: string;
  readonly title: string;
  readonly settings: readonly string[];
  /** Names of its first and last layer. */
  readonly ends: readonly string[];
}

const models: readonly Model[] = [
  { name: "resnet20", title: "ResNet-20", settings: [], ends: ["conv1", "fc"] },
  {
    name: "mobilenetv2",
    title: "MobileNetV2, width multiplier ¼",
    settings: ["--set", "model.width=8"],
    ends: ["features.0.0", "classifier.1"],
  },
];

/** A verification over fewer images does not count. */
const testImages = 10_000;

const titles: Readonly<Record<string, string>> = {
  lsq: "LSQ",
  thread: "the thread's affine",
  pact: "PACT",
  dorefa: "DoReFa",
  apot: "APoT",
};

interface Cell {
  readonly model: Model;
  readonly preset: string;
  readonly bits: number;
  readonly folder: string;
}

const presets = flags.only.split(",");
const widths = flags.bits.split(",").map(Number);

/** Both networks at one width before the next width, so that a bench that was stopped has something of each. */
function cells(): Cell[] {
  const chosen = flags.models.split(",");
  const found = models.filter(({ name }) => chosen.includes(name));
  return widths.flatMap((bits) =>
    found.flatMap((model) =>
      presets.map((preset) => {
        const folder = join(flags.out, `${model.name}-${preset}-W${bits}A${bits}`);
        return { model, preset, bits, folder };
      }),
    ),
  );
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

async function runCell(cell: Cell): Promise<void> {
  const { model, preset, bits, folder } = cell;
  const name = folder.slice(flags.out.length + 1);
  if ((await resultOf(cell)) !== undefined) return;
  const begin = performance.now();
  const quantization = ["--preset", preset, "--weight-bits", String(bits), "--activation-bits", String(bits)];
  const start = ["--from", join(flags.out, `${model.name}-float`), "--lr", "0.01"];
  await trained(model, name, [...quantization, ...edges(cell), ...start]);
  await subbyte(["convert", folder, "--verify", ...data, "--interpret", flags.interpret, "--threads", "1", "--quiet"]);
  const result = await resultOf(cell);
  const different = result?.programs.reduce((sum, program) => sum + program.mismatches, 0);
  process.stderr.write(`${name}: ${different} differ (${((performance.now() - begin) / 1000).toFixed(0)} s)\n`);
}

async function runAll(): Promise<void> {
  const waiting = cells();
  for (const model of new Set(waiting.map((cell) => cell.model))) {
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

async function resultOf({ folder }: Cell): Promise<VerificationResult | undefined> {
  const file = join(folder, "convert", "verify.json");
  if (!existsSync(file)) return undefined;
  const result: VerificationResult = JSON.parse(await readFile(file, "utf8"));
  return result.programs.some(({ samples }) => samples === testImages) ? result : undefined;
}

async function section(model: Model, all: readonly Cell[]): Promise<string> {
  const found: VerificationResult[] = [];
  const rows: string[] = [];
  for (const preset of presets) {
    const marks: string[] = [];
    for (const bits of widths) {
      const cell = all.find((each) => each.model === model && each.preset === preset && each.bits === bits);
      const result = cell === undefined ? undefined : await resultOf(cell);
      if (result !== undefined) found.push(result);
      const program = result?.programs.find((each) => each.program === "onnx int");
      marks.push(
        program === undefined ? "not run" : `${program.mismatches} of ${program.compared.toLocaleString("en")}`,
      );
    }
    rows.push(`| ${titles[preset] ?? preset} | ${marks.join(" | ")} |`);
  }
  if (found.length === 0) return `## ${model.title}\n\nNot run yet: ${presets.length * widths.length} cells.\n`;
  const ofProgram = (name: string): string => {
    const programs = found.flatMap((result) => result.programs.filter(({ program }) => program === name));
    const total = (value: (program: (typeof programs)[number]) => number): string =>
      programs.reduce((sum, program) => sum + value(program), 0).toLocaleString("en");
    const images = [...new Set(programs.map(({ samples }) => samples))].map((count) => count.toLocaleString("en"));
    const counts = `${total(({ mismatches }) => mismatches)} of ${total(({ compared }) => compared)} codes differ`;
    return `${images.join(" or ")} images for each cell, ${counts}`;
  };
  return `## ${model.title}

Simulation against ONNX Runtime, ${found.length} of ${presets.length * widths.length} cells:

| mismatches of codes | ${widths.map((bits) => `W${bits}A${bits}`).join(" | ")} |
|---|${"---:|".repeat(widths.length)}
${rows.join("\n")}

- The \`int\` file on ONNX Runtime: ${ofProgram("onnx int")}.
- The reference interpreter: ${ofProgram("interpreter")}.
`;
}

async function write(): Promise<void> {
  const all = cells();
  const sections = await Promise.all([...new Set(all.map(({ model }) => model))].map((model) => section(model, all)));
  const text = `<!-- written by bench/proof.ts -->
# The proof: mismatching codes over Fashion-MNIST

Every code of every layer, and every logit, of the exact simulation, compared with what was converted from it. All 10,000 test
images on ONNX Runtime; the reference interpreter is slower (under 0.1 s for an image of ResNet-20) and runs the first ${flags.interpret} of them.

Each network has been trained for ${Math.ceil(Number(flags.images) / Number(flags.batch))} steps in float and as many with its quantizers: enough to have learned weights, statistics
and scales. Its first and last layer have 8 bits of LSQ (PACT's and DoReFa's papers leave them in float, which has no
integers), except with the thread's configuration, which is word for word.

    npm run build && npx tsx bench/proof.ts --data FOLDER

${sections.join("\n")}`;
  await writeFileAtomic(page, [new TextEncoder().encode(text)]);
  process.stdout.write(text);
}

if (!flags.table) await runAll();
await write();
