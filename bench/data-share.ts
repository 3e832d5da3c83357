/**
 * What share of a training step is not spent in the engine: data loading, augmentation, metrics and all other JavaScript.
 *
 *     npx tsx bench/data-share.ts [--steps 40] [--threads 2] [--preset lsq] [--jobs resnet20:128,resnet8:64]
 *
 * The real loop (src/train/loop/trainer.ts) trains on the part of Fashion-MNIST that comes with subbyte, with random crops and
 * flips, its metrics written to a file: once from the IDX files, once from the same images as a folder of PNG files of which
 * memory may hold next to none, so that every step has its images decoded. The time of a step goes from the end of one
 * to the end of the next; what is inside the session's `run` is taken off. Evaluation and checkpoints are not in it.
 *
 * Images are decoded by other threads while the engine computes: what that takes from the engine's cores shows in the
 * images/s, not in the share.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { resolveTrainingConfig } from "../src/config/config.ts";
import { allocateBatch, type Dataset } from "../src/data/dataset/dataset.ts";
import { MetricsLog } from "../src/runs/metrics-log.ts";
import type { Engine } from "../src/runtime/engine.ts";
import { train } from "../src/train/loop/trainer.ts";
import { engineOf } from "../src/train/run.ts";
import { loadData, prepareTraining } from "../src/train/setup.ts";
import { median } from "./median.ts";

const { values: flags } = parseArgs({
  options: {
    steps: { type: "string", default: "40" },
    threads: { type: "string", default: "2" },
    preset: { type: "string", default: "lsq" },
    jobs: { type: "string", default: "resnet20:128,resnet8:64" },
  },
});
const steps = Number(flags.steps);
/** Steps at the start in which the engine still allocates, and images are not read ahead yet. */
const warmUp = 5;

interface Clock {
  milliseconds: number;
}

/** An engine whose sessions add the time of their runs to a clock. */
function clocked(engine: Engine, clock: Clock): Engine {
  return {
    ...engine,
    createSession: async (model, options) => {
      const session = await engine.createSession(model, options);
      return {
        ...session,
        run: async (feeds, fetches) => {
          const start = performance.now();
          const results = await session.run(feeds, fetches);
          clock.milliseconds += performance.now() - start;
          return results;
        },
      };
    },
  };
}

/** Writes images to `FOLDER/CLASS/NUMBER.png`. */
async function writeImages(dataset: Dataset, count: number, folder: string): Promise<void> {
  const [channels = 1, height = 0, width = 0] = dataset.sampleShape;
  if (channels !== 1) throw new Error("grey images are expected");
  const one = allocateBatch(dataset, 1);
  for (let i = 0; i < count; i++) {
    dataset.readBatch(Int32Array.of(i), one);
    const place = join(folder, `class${one.targets[0]}`);
    await mkdir(place, { recursive: true });
    const pixels = Uint8Array.from(one.samples);
    await sharp(pixels, { raw: { width, height, channels: 1 } }).toFile(join(place, `${i}.png`));
  }
}

/** Trains and prints the share. */
async function measure(name: string, data: Readonly<Record<string, unknown>>, model: string, batchSize: number) {
  const folder = await mkdtemp(join(tmpdir(), "subbyte-data-share-"));
  const config = resolveTrainingConfig({
    name: "bench",
    text: JSON.stringify({
      model: { name: model },
      data: { ...data, crop: 2, flip: true },
      train: { epochs: 1, batchSize },
      quantization: { preset: flags.preset, weightBits: 4, activationBits: 4 },
      threads: Number(flags.threads),
    }),
  });
  const clock = { milliseconds: 0 };
  const { engine: plain, target } = await engineOf(config);
  const engine = clocked(plain, clock);
  const opened = await loadData(config);
  const metrics = new MetricsLog(join(folder, "metrics.jsonl"));
  const shares: number[] = [];
  const times: number[] = [];
  let last = { time: 0, inside: 0 };
  await train({
    ...(await prepareTraining(config, opened, engine, target)),
    data: opened,
    engine,
    target,
    store: { metrics, save: async () => {} },
    onStep: ({ step }) => {
      const now = { time: performance.now(), inside: clock.milliseconds };
      const time = now.time - last.time;
      if (step > warmUp) {
        times.push(time);
        shares.push(1 - (now.inside - last.inside) / time);
      }
      last = now;
    },
  });
  metrics.close();
  await rm(folder, { recursive: true });
  const time = median(times);
  console.log(
    `${model}, batch ${batchSize}, ${name}: ${(100 * median(shares)).toFixed(2)} % of a step (worst ` +
      `${(100 * Math.max(...shares)).toFixed(1)} %) outside the engine, ${time.toFixed(1)} ms a step, ` +
      `${((1000 * batchSize) / time).toFixed(0)} images/s`,
  );
}

const jobs = flags.jobs.split(",").map((job) => {
  const [model = "resnet20", batch = "64"] = job.split(":");
  return { model, batchSize: Number(batch) };
});
const images = await mkdtemp(join(tmpdir(), "subbyte-images-"));
const most = Math.max(...jobs.map(({ batchSize }) => batchSize)) * (steps + warmUp);
const { train: source } = await loadData(resolveTrainingConfig({ name: "bench", text: "{}" }));
// A tenth of the images is set apart to judge on.
const available = Math.min(Math.ceil(most / 0.9) + 10, source.count);
await writeImages(source, available, images);
for (const { model, batchSize } of jobs) {
  const trainLimit = Math.min(Math.floor(0.85 * available), batchSize * (steps + warmUp));
  const limits = { trainLimit, testLimit: 64 };
  await measure("IDX", limits, model, batchSize);
  const folder = { folder: images, memoryBytes: 1 << 20, normalization: "measure", validationSplit: 0.1 };
  await measure("images decoded in every step", { ...folder, ...limits }, model, batchSize);
}
await rm(images, { recursive: true });
