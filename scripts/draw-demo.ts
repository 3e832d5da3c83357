/**
 * Draws the README's image from the runs that `subbyte demo` leaves: test accuracy over the epochs.
 *
 *     npx subbyte demo && npx tsx scripts/draw-demo.ts [runs] > docs/demo.svg
 */
import { join } from "node:path";
import { figureWidths, seriesColor, standalone } from "../src/report/charts/draw.ts";
import { learningCurves } from "../src/report/charts/run.ts";
import { runPaths } from "../src/runs/folder.ts";
import { readMetrics } from "../src/runs/metrics-log.ts";

const parent = process.argv[2] ?? "runs";

async function accuracies(name: string, firstEpoch: number) {
  const records = await readMetrics(runPaths(join(parent, name)).metrics);
  return records
    .filter((record) => "testAccuracy" in record)
    .map((record) => ({ x: firstEpoch + Number(record.epoch), y: Number(record.testAccuracy) }));
}

const float = await accuracies("demo-float", 0);
const last = float.at(-1);
if (last === undefined) throw new Error(`${parent} holds no demo-float: run subbyte demo first`);
const continued = async (name: string) => [last, ...(await accuracies(name, last.x))];
const series = [
  { label: "float", color: seriesColor(0), points: float },
  { label: "W4A4, the thread's: 8 levels", color: seriesColor(1), points: await continued("demo-thread") },
  { label: "W4A4, learned step sizes: 16 levels", color: seriesColor(2), points: await continued("demo-lsq") },
];
const reference = { float: last.y, chance: 0.1, tolerance: 0.01 };
process.stdout.write(`${standalone(learningCurves(series, series, reference, figureWidths.wide))}\n`);
