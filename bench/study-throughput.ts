/**
 * The gain of trials side by side: the images/s of two single-threaded trials at once compared with one alone.
 *
 *     npx tsx bench/study-throughput.ts [--model resnet20] [--preset lsq] [--batch 64] [--steps 60] [--rounds 3] [--parallel 2]
 *
 * A trial is what `subbyte study` starts: a worker process that trains a run with one thread of ONNX Runtime, on the part
 * of Fashion-MNIST that comes with the repository. One and several are measured in turn (A B A B …). An image counts
 * between the first report of the trial that was last to begin and the last report of the one that was first to end, so
 * that every counted moment has all trials at work, and neither compilation nor evaluation is in it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { configToYaml, resolveTrainingConfig } from "../src/config/config.ts";
import { launchWorker } from "../src/study/schedule/launch.ts";
import { median } from "./median.ts";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string", default: "resnet20" },
    preset: { type: "string", default: "lsq" },
    batch: { type: "string", default: "64" },
    steps: { type: "string", default: "60" },
    rounds: { type: "string", default: "3" },
    parallel: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const batchSize = Number(flags.batch);
const parallel = Number(flags.parallel);
const rounds = Number(flags.rounds);
/** Steps at the start of a trial in which the engine still allocates. */
const warmup = 5;

interface Report {
  readonly time: number;
  readonly step: number;
}

/** The step that a trial had come to at a time, between two of its reports. */
function stepAt(reports: readonly Report[], time: number): number {
  const after = reports.findIndex((report) => report.time >= time);
  const [one, two] = [reports[after - 1] ?? reports[after], reports[after] ?? reports.at(-1)];
  if (one === undefined || two === undefined) return 0;
  const part = two.time > one.time ? (time - one.time) / (two.time - one.time) : 0;
  return one.step + part * (two.step - one.step);
}

/** Trains this number of trials at once and returns the images/s of all of them together. */
async function measure(folder: string, count: number, round: number): Promise<number> {
  const trials = await Promise.all(
    Array.from({ length: count }, async (_, index): Promise<readonly Report[]> => {
      const config = resolveTrainingConfig({
        name: "bench",
        text: JSON.stringify({
          model: { name: flags.model },
          data: { crop: 0, flip: false, trainLimit: batchSize * Number(flags.steps), testLimit: 64 },
          train: { epochs: 1, batchSize },
          quantization: { preset: flags.preset, weightBits: 4, activationBits: 4 },
          seed: index,
          threads: 1,
        }),
      });
      const reports: Report[] = [];
      const name = `round${round}-${count}-${index}`;
      const job = { kind: "run", parent: ".", name, config: configToYaml(config), diagnose: false } as const;
      const end = await launchWorker(folder, job, (event) => {
        if (event.kind === "step" && event.step > warmup) reports.push({ time: performance.now(), step: event.step });
      }).end;
      if (end.kind !== "finished") throw new Error(`a trial ended otherwise: ${JSON.stringify(end)}`);
      return reports;
    }),
  );
  const start = Math.max(...trials.map((reports) => reports[0]?.time ?? Number.POSITIVE_INFINITY));
  const stop = Math.min(...trials.map((reports) => reports.at(-1)?.time ?? 0));
  if (!(stop > start)) throw new Error("the trials did not run at the same time; give more --steps");
  const steps = trials.reduce((sum, reports) => sum + stepAt(reports, stop) - stepAt(reports, start), 0);
  return (1000 * steps * batchSize) / (stop - start);
}

const folder = mkdtempSync(join(tmpdir(), "subbyte-throughput-"));
const alone: number[] = [];
const together: number[] = [];
try {
  for (let round = 0; round < rounds; round++) {
    alone.push(await measure(folder, 1, round));
    together.push(await measure(folder, parallel, round));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const ratios = together.map((rate, round) => rate / (alone[round] ?? Number.NaN));
if (flags.json) {
  console.log(
    JSON.stringify({ model: flags.model, preset: flags.preset, batchSize, parallel, alone, together, ratios }),
  );
} else {
  console.log(
    `${flags.model} ${flags.preset} W4A4, batch ${batchSize}, ${availableParallelism()} cores, ${rounds} rounds in turn`,
  );
  console.log(
    `one trial       ${median(alone).toFixed(0)} images/s (${alone.map((rate) => rate.toFixed(0)).join(", ")})`,
  );
  console.log(
    `${parallel} side by side  ${median(together).toFixed(0)} images/s (${together.map((rate) => rate.toFixed(0)).join(", ")})`,
  );
  console.log(`ratio           ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(", ")})`);
}
