/** What `subbyte compare` does. */

import { openConfiguredData, parseDataArgument } from "../../../config/data-folder.ts";
import type { TrainingConfig } from "../../../config/schema/schema.ts";
import { compareModels, type Difference } from "../../../convert/prove/compare.ts";
import type { ComparedModel } from "../../../convert/prove/compared-model.ts";
import { firstSamples } from "../../../data/dataset/dataset.ts";
import { ConfigError } from "../../../errors.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import { outputColumns, print, printJson, printNotesOn } from "../../output.ts";
import { type TestData, testData } from "../../run-data.ts";
import { tableLines } from "../../view/table.ts";
import type { CompareFlags } from "./compare.ts";
import { type ComparisonSide, readComparisonSides } from "./models.ts";

/** Layers that are shown without --verbose. */
const shownLayers = 8;

/** Runs two models on the same test images and prints how far they are apart. */
export async function compareAction(a: string, b: string, flags: CompareFlags): Promise<void> {
  const [left, right] = await readComparisonSides(a, b);
  const { data, notes: ofData } = await sharedData([left, right], flags);
  const notes = [...new Set([...(left.run?.notes ?? []), ...(right.run?.notes ?? []), ...ofData])];
  printNotesOn(notes, flags);
  const engine = nodeEngine({ threads: flags.threads });
  const result = await compareModels(left.model, right.model, data, engine, { departure: flags.departure });
  if (flags.json === true) return printJson({ schemaVersion: 1, a, b, data: data.name, notes, ...result });
  const columns = outputColumns();
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
  print(...tableLines(["", "A against B"], summary, columns));
  if (result.layers.length === 0) {
    print("The models have no layer of the same name and shape, so only their outputs were compared.");
    print("(subbyte convert RUN --verify compares every code of a run with its integers.)");
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
  print(...tableLines([title, "SQNR", "largest", "mean"], rows, columns));
}

/** The data of `--data`, or of the first of the two that is a run. */
async function sharedData(sides: readonly ComparisonSide[], flags: CompareFlags): Promise<TestData> {
  const run = sides.find((side) => side.run !== undefined)?.run;
  if (run !== undefined) return testData(run, flags);
  const [first] = sides;
  if (flags.data === undefined || first === undefined) {
    throw new ConfigError("two ONNX files have no data of their own", {
      where: "--data",
      remedy: "Name the data to compare on, for example: --data fashion-mnist-part.",
    });
  }
  const { test, notes } = await openConfiguredData({
    ...imageSize(first.model),
    crop: 0,
    flip: false,
    // As eval measures a file: on all samples where there is one part only.
    validationSplit: 0,
    ...parseDataArgument(flags.data),
  });
  return { data: flags.limit === undefined ? test : firstSamples(test, Math.min(flags.limit, test.count)), notes };
}

/** Images are resized to the size and the channels of the model's input. */
function imageSize({ inputShape }: ComparedModel): Pick<TrainingConfig["data"], "size" | "channels"> {
  const [, channels, height, width] = inputShape;
  return {
    ...(height === undefined || width === undefined ? {} : { size: [height, width] }),
    ...(channels === 1 || channels === 3 ? { channels } : {}),
  };
}

function decibels({ sqnr }: Difference): string {
  return sqnr === null ? "equal" : `${sqnr.toFixed(1)} dB`;
}
