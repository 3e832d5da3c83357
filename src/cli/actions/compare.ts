/** What `subbyte compare` does. */

import { compareNetworks, type Difference } from "../../convert/compare.ts";
import { firstSamples } from "../../data/dataset.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { loadRun } from "../../train/load-run.ts";
import type { CompareFlags } from "../flags.ts";
import { formatTable } from "../table.ts";

/** Layers that are shown without --verbose. */
const shownLayers = 8;

/** Runs the networks of two runs on the first one's test images and prints how far they are apart. */
export async function compareRuns(a: string, b: string, flags: CompareFlags): Promise<void> {
  const [left, right] = await Promise.all([loadRun(a), loadRun(b)]);
  const all = left.data.test;
  const data = flags.limit === undefined ? all : firstSamples(all, Math.min(flags.limit, all.count));
  const engine = nodeEngine(flags.threads === 0 ? {} : { threads: flags.threads });
  const result = await compareNetworks(left.network, right.network, data, engine, { departure: flags.departure });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, a, b, data: data.name, ...result }, undefined, 2)}\n`);
    return;
  }
  const { columns } = process.stdout;
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const summary = [
    ["images", `${result.samples}`],
    ["accuracy of A / B", `${percent(result.accuracy.a)} / ${percent(result.accuracy.b)}`],
    ["same class", percent(result.agreement)],
    [
      "outputs: largest / mean difference",
      `${result.output.largest.toPrecision(3)} / ${result.output.mean.toPrecision(3)}`,
    ],
    ["outputs: SQNR", decibels(result.output)],
    [`first layer below ${flags.departure} dB`, result.firstDeparture ?? "none"],
  ];
  process.stdout.write(`${formatTable(["", "A against B"], summary, columns)}\n`);
  const worst = [...result.layers].sort((x, y) => (x.sqnr ?? Infinity) - (y.sqnr ?? Infinity)).slice(0, shownLayers);
  const layers = flags.verbose === true ? result.layers : worst;
  const rows = layers.map((each) => [
    each.layer,
    decibels(each),
    each.largest.toPrecision(3),
    each.mean.toPrecision(3),
  ]);
  const title = flags.verbose === true ? "layer" : "layers that differ most";
  process.stdout.write(`${formatTable([title, "SQNR", "largest", "mean"], rows, columns)}\n`);
}

function decibels({ sqnr }: Difference): string {
  return sqnr === null ? "equal" : `${sqnr.toFixed(1)} dB`;
}
