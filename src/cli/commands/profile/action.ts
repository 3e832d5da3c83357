/** What `subbyte profile` does. */

import { workKinds } from "../../../compile/work.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { readConfigFile } from "../../../config/file.ts";
import { modelTitle, type TrainingConfig } from "../../../config/schema/schema.ts";
import { profileStep, type StepProfile } from "../../../train/profile.ts";
import { outputColumns, print, printJson } from "../../output.ts";
import { trainOverrides } from "../../train-overrides.ts";
import { formatBytes } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";
import type { ProfileFlags } from "./profile.ts";

/** Runs `subbyte profile`. */
export async function profileAction(flags: ProfileFlags): Promise<void> {
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
