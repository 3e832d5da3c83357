/**
 * Which learning rate does no harm to weights that come from a file, and what BatchNorm that is put back changes.
 *
 *     python3 bench/pretrained-networks.py FASHION-MNIST FOLDER      makes the files and the data
 *     npx tsx bench/pretrained.ts FOLDER [--only vit,vgg] [--rates 0.05,0.005] [--warmups 0,1] [--restore true,false]
 *                                 [--epochs 3] [--preset lsq --bits 4] [--crop 2] [--flip]
 *
 * Each line of FOLDER/results.jsonl is one training of one file on 400 images: the file's accuracy on 300 test images, that after
 * each epoch, or the step at which the loss became infinite. Lines that are there are not measured again. At the end: the
 * change against the file, in points, for each network and setting.
 */
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { resolveTrainingConfig } from "../src/config/config.ts";
import { DivergenceError } from "../src/errors.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";
import { evaluate } from "../src/train/loop/evaluate.ts";
import { train } from "../src/train/loop/trainer.ts";
import { importedNetwork } from "../src/train/network.ts";
import { loadData, prepareTraining } from "../src/train/setup.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    rates: { type: "string", default: "0.05,0.02,0.01,0.005,0.002,0.0005" },
    warmups: { type: "string", default: "1" },
    restore: { type: "string", default: "true" },
    epochs: { type: "string", default: "3" },
    preset: { type: "string", default: "float" },
    bits: { type: "string", default: "4" },
    crop: { type: "string", default: "0" },
    flip: { type: "boolean", default: false },
  },
});
const [folder = "pretrained"] = positionals;
const results = join(folder, "results.jsonl");

interface Setting {
  readonly network: string;
  readonly preset: string;
  readonly restore: boolean;
  readonly rate: number;
  readonly warmup: number;
  readonly epochs: number;
  /** Pixels of the random crop, and whether images are mirrored at random. */
  readonly crop: number;
  readonly flip: boolean;
}

interface Result extends Setting {
  readonly file: number;
  /** Test accuracy after each epoch; one that ends early diverged. */
  readonly accuracies: readonly number[];
  readonly diverged?: string;
}

const keyOf = ({ network, preset, restore, rate, warmup, epochs, crop, flip }: Setting) =>
  [network, preset, restore, rate, warmup, epochs, crop, flip].join(" ");

async function measured(): Promise<Result[]> {
  const text = await readFile(results, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
}

async function measure(setting: Setting): Promise<Result> {
  const { network, preset, restore, rate, warmup, epochs } = setting;
  const bits = Number(flags.bits);
  const config = resolveTrainingConfig({
    name: network,
    text: JSON.stringify({
      model: { file: join(folder, `${network}.onnx`), restoreBatchNorm: restore },
      data: {
        folder: join(folder, "data"),
        // The networks were trained without augmentation, which changes more than the rate does.
        crop: Number(flags.crop),
        flip: flags.flip,
        normalization: { mean: [0.286, 0.286, 0.286], std: [0.353, 0.353, 0.353] },
      },
      train: { epochs, optimizer: { learningRate: rate }, schedule: { warmupEpochs: warmup } },
      ...(preset === "float" ? {} : { quantization: { preset, weightBits: bits, activationBits: bits } }),
      threads: 1,
    }),
  });
  const engine = nodeEngine({ threads: 1 });
  const data = await loadData(config);
  const target = await engine.target();
  const file = await evaluate(importedNetwork(join(folder, `${network}.onnx`), data), data.test, engine);
  const accuracies: number[] = [];
  const prepared = await prepareTraining(config, data, engine, target);
  try {
    await train({ ...prepared, data, engine, target, onEpoch: ({ test }) => accuracies.push(test.accuracy) });
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    return { ...setting, file: file.accuracy, accuracies, diverged: error.message };
  }
  return { ...setting, file: file.accuracy, accuracies };
}

const numbers = (text: string) => text.split(",").map(Number);
const found = (await readdir(folder)).flatMap((name) => (name.endsWith(".onnx") ? [name.slice(0, -5)] : []));
const names = flags.only === undefined ? found : flags.only.split(",");
const done = new Set((await measured()).map(keyOf));
for (const network of names) {
  for (const restore of flags.restore.split(",").map((text) => text === "true")) {
    for (const warmup of numbers(flags.warmups)) {
      for (const rate of numbers(flags.rates)) {
        const setting = {
          network,
          preset: flags.preset,
          restore,
          rate,
          warmup,
          epochs: Number(flags.epochs),
          crop: Number(flags.crop),
          flip: flags.flip,
        };
        if (done.has(keyOf(setting))) continue;
        const result = await measure(setting);
        await appendFile(results, `${JSON.stringify(result)}\n`);
        console.error(
          keyOf(setting),
          (100 * result.file).toFixed(1),
          result.accuracies.map((x) => (100 * x).toFixed(1)),
        );
      }
    }
  }
}

/** `+1.3`, or what became of it. */
function change({ accuracies, file, diverged }: Result): string {
  if (diverged !== undefined) return "NaN";
  const points = 100 * ((accuracies.at(-1) ?? 0) - file);
  return `${points < 0 ? "" : "+"}${points.toFixed(1)}`;
}

const all = await measured();
const settings = [
  ...new Set(all.map(({ preset, restore, warmup, rate }) => JSON.stringify([preset, restore, warmup, rate]))),
];
const rows = settings.map((setting) => {
  const own = all.filter(
    ({ preset, restore, warmup, rate }) => JSON.stringify([preset, restore, warmup, rate]) === setting,
  );
  const [preset, restore, warmup, rate] = JSON.parse(setting);
  const cells = found
    .map((name) => own.find(({ network }) => network === name))
    .map((each) => (each ? change(each) : ""));
  return [preset, restore ? "yes" : "no", warmup, rate, ...cells];
});
const header = ["preset", "BatchNorm restored", "warm-up", "learning rate", ...found];
const line = (cells: readonly unknown[]) => `| ${cells.join(" | ")} |`;
console.log([line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n"));
