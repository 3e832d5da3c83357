/** `subbyte profile`: where the time of a training step goes. */

import { Option } from "@commander-js/extra-typings";
import { workKinds } from "../../compile/work.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import { readConfigFile } from "../../config/file.ts";
import { modelTitle, type TrainingConfig } from "../../config/schema/schema.ts";
import { profileStep, type StepProfile } from "../../train/profile.ts";
import type { FlagsOf, NewCommand } from "../command.ts";
import { collect, wholeNumber } from "../flag-values.ts";
import { outputColumns, print, printJson } from "../output.ts";
import { trainOverrides } from "../train-overrides.ts";
import { formatBytes } from "../view/progress-format.ts";
import { tableLines } from "../view/table.ts";

const examples = `
Runs a few training steps under ONNX Runtime's profiler and adds up time and bytes by kind of work, by layer and by
operator. The lower bound of a kind is the least time that its arithmetic or its bytes could take on this machine, at the
measured speed of a large matrix product and a large addition.

Examples:
  subbyte profile --model resnet20 --preset lsq --weight-bits 4 --activation-bits 4
  subbyte profile --config qat.yaml --batch 64 --layers 30
  subbyte profile --model mine.onnx --data ./images --json`;

const declare = (command: NewCommand) =>
  command
    .description("Show where the time and the bytes of a training step go, compared with lower bounds.")
    .option("-c, --config <file>", "YAML or JSON file with the configuration, as for train")
    .option("--set <key=value>", "set one key of it (repeatable)", collect)
    .option("-m, --model <name|file>", "network: a name as for train, or a file such as mine.onnx")
    .option("--data <name|folder>", "data, as for train")
    .option("--batch <n>", "images in a batch")
    .option("--preset <name>", "quantization preset; float for none")
    .option("--weight-bits <n>", "bits of the weights, 1 to 16")
    .option("--activation-bits <n>", "bits of the activations, 1 to 16")
    .addOption(new Option("--placement <how>", "where quantizers go").choices(["fused", "everyModule"] as const))
    .option("--device <name>", "cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core (default: 0)")
    .option("--steps <n>", "steps to measure; the median step is shown", wholeNumber(1), 5)
    .option("--layers <n>", "layers to list, the slowest first", wholeNumber(0), 12)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "list every layer and every operator")
    .addHelpText("after", examples);

/** Declares `subbyte profile`. */
export const declareProfile = (command: NewCommand) => declare(command).action(profile);

async function profile(flags: FlagsOf<typeof declare>): Promise<void> {
  const source = flags.config === undefined ? undefined : await readConfigFile(flags.config);
  const config = resolveTrainingConfig(source, trainOverrides(flags));
  const result = await profileStep(config, flags.steps);
  if (flags.json === true) return printJson({ schemaVersion: 1, config, ...result });
  const all = Number.POSITIVE_INFINITY;
  print(
    ...profileText(
      config,
      result,
      flags.verbose === true ? { layers: all, operators: all } : { layers: flags.layers, operators: 10 },
    ),
  );
}

/** Milliseconds with one decimal. */
function milliseconds(seconds: number): string {
  return (1000 * seconds).toFixed(1);
}

interface ShownRows {
  readonly layers: number;
  readonly operators: number;
}

function profileText(
  config: TrainingConfig,
  result: StepProfile,
  { layers: layerCount, operators: operatorCount }: ShownRows,
): string[] {
  const { stepSeconds, kinds, layers, operators, speed, batchSize, device } = result;
  const percent = (seconds: number) => `${((100 * seconds) / stepSeconds).toFixed(1)} %`;
  const measures = ({ seconds, bytes, nodes }: StepProfile["operators"][number] | StepProfile["kinds"][number]) => [
    milliseconds(seconds),
    percent(seconds),
    formatBytes(bytes),
    nodes,
  ];
  const inKernels = kinds.reduce((sum, { seconds }) => sum + seconds, 0);
  const nodeCount = kinds.reduce((sum, { nodes }) => sum + nodes, 0);
  const between = Math.max(0, stepSeconds - inKernels);
  const numbers = ["ms", "share", "bytes", "nodes"].map((title) => ({ title, align: "right" }) as const);
  const kindRows = [
    ...kinds.map((share) => [
      share.kind,
      ...measures(share),
      share.operations === 0 ? "" : `${(share.operations / share.seconds / 1e9).toFixed(0)}`,
      milliseconds(share.floorSeconds),
    ]),
    ["between nodes", milliseconds(between), percent(between), "", "", "", ""],
    [
      "whole step",
      milliseconds(stepSeconds),
      "100.0 %",
      formatBytes(kinds.reduce((sum, { bytes }) => sum + bytes, 0)),
      nodeCount,
      "",
      milliseconds(kinds.reduce((sum, { floorSeconds }) => sum + floorSeconds, 0)),
    ],
  ];
  const shownKinds = workKinds.filter((kind) => kind !== "other" && kinds.some((share) => share.kind === kind));
  const layerRows = layers
    .slice(0, layerCount)
    .map(({ layer, seconds, kinds: parts }) => [
      layer === "" ? "(loss, input, sums)" : layer,
      milliseconds(seconds),
      percent(seconds),
      ...shownKinds.map((kind) => milliseconds(parts[kind] ?? 0)),
    ]);
  const width = outputColumns();
  const right = (title: string) => ({ title, align: "right" }) as const;
  const { quantization } = config;
  const bits =
    quantization === null
      ? "float"
      : `${quantization.preset} W${quantization.weightBits}A${quantization.activationBits}`;
  return [
    `One training step of ${modelTitle(config.model)}, ${bits}, batch ${batchSize}, on ${device}: ${milliseconds(stepSeconds)} ms, ` +
      `${(batchSize / stepSeconds).toFixed(0)} images/s (with the profiler on)`,
    `This machine: matrix products at ${(speed.operationsPerSecond / 1e9).toFixed(0)} GFLOP/s, memory at ` +
      `${(speed.bytesPerSecond / 1e9).toFixed(1)} GB/s`,
    ...tableLines(["kind of work", ...numbers, right("GFLOP/s"), right("lower bound ms")], kindRows, width),
    ...(layerCount === 0
      ? []
      : tableLines(["layer", right("ms"), right("share"), ...shownKinds.map(right)], layerRows, width)),
    ...tableLines(
      ["operator of ONNX Runtime", ...numbers],
      operators.slice(0, operatorCount).map((share) => [share.op, ...measures(share)]),
      width,
    ),
    `Planned peak memory of values: ${formatBytes(result.plannedBytes)}`,
  ];
}
