/** What `subbyte compare` does. */

import { openConfiguredData, parseDataArgument } from "../../config/data-folder.ts";
import type { TrainingConfig } from "../../config/schema.ts";
import { compareModels, type Difference } from "../../convert/prove/compare.ts";
import type { Comparand } from "../../convert/prove/compared-model.ts";
import { type Dataset, firstSamples } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { type ComparedModel, readComparedModels } from "../compared-model.ts";
import type { CompareFlags } from "../flags.ts";
import { testData } from "../run-data.ts";
import { formatTable } from "../view/table.ts";

/** Layers that are shown without --verbose. */
const shownLayers = 8;

/** Runs two models on the same test images and prints how far they are apart. */
export async function compareModelFiles(a: string, b: string, flags: CompareFlags): Promise<void> {
  const [left, right] = await readComparedModels(a, b);
  const data = await sharedData([left, right], flags);
  const engine = nodeEngine(flags.threads === 0 ? {} : { threads: flags.threads });
  const result = await compareModels(left.comparand, right.comparand, data, engine, { departure: flags.departure });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, a, b, data: data.name, ...result }, undefined, 2)}\n`);
    return;
  }
  const { columns } = process.stdout;
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const summary = [
    ["images", `${result.samples}`],
    ...(result.accuracy === null
      ? []
      : [["accuracy of A / B", `${percent(result.accuracy.a)} / ${percent(result.accuracy.b)}`]]),
    ["same largest output", percent(result.agreement)],
    [
      "outputs: largest / mean difference",
      `${result.output.largest.toPrecision(3)} / ${result.output.mean.toPrecision(3)}`,
    ],
    ["outputs: SQNR", decibels(result.output)],
    [`first layer below ${flags.departure} dB`, result.firstDeparture ?? "none"],
  ];
  process.stdout.write(`${formatTable(["", "A against B"], summary, columns)}\n`);
  if (result.layers.length === 0) {
    process.stdout.write("The two have no layer of the same name and shape: only their outputs were compared.\n");
    process.stdout.write("(subbyte convert RUN --verify compares every code of a run with the integers made of it.)\n");
    return;
  }
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

/** The data of `--data`, or of the first of the two that is a run. */
async function sharedData(models: readonly ComparedModel[], flags: CompareFlags): Promise<Dataset> {
  const run = models.find((model) => model.run !== undefined)?.run;
  if (run !== undefined) return testData(run, flags);
  const [first] = models;
  if (flags.data === undefined || first === undefined) {
    throw new ConfigError("two ONNX files bring no data with them", {
      where: "--data",
      remedy: "Name the data to compare them on, for example: --data fashion-mnist-part.",
    });
  }
  const { test } = await openConfiguredData({
    ...imageSize(first.comparand),
    crop: 0,
    flip: false,
    ...parseDataArgument(flags.data),
  });
  return flags.limit === undefined ? test : firstSamples(test, Math.min(flags.limit, test.count));
}

/** Images are made as large as the model's input, in as many colours. */
function imageSize({ inputShape }: Comparand): Pick<TrainingConfig["data"], "size" | "channels"> {
  const [, channels, height, width] = inputShape;
  return {
    ...(height === undefined || width === undefined ? {} : { size: [height, width] }),
    ...(channels === 1 || channels === 3 ? { channels } : {}),
  };
}

function decibels({ sqnr }: Difference): string {
  return sqnr === null ? "equal" : `${sqnr.toFixed(1)} dB`;
}
