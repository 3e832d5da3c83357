/** What `subbyte inspect` does. */

import { randomStream } from "../../../base/random.ts";
import { type IntegerObstacle, integerObstacles } from "../../../convert/obstacles.ts";
import { ConfigError } from "../../../errors.ts";
import { inspectNetwork, type NetworkReport } from "../../../importer/inspect.ts";
import { importOnnxFile } from "../../../importer/node-files.ts";
import type { Network } from "../../../ir/network.ts";
import { groupLines, refusedGroups } from "../../../ir/refused-nodes.ts";
import { makeModel } from "../../../models/index.ts";
import { isModelName } from "../../../models/names.ts";
import { frozenLines, parseInputShapes } from "../../imported-model.ts";
import { outputColumns, print, printJson } from "../../output.ts";
import { integerLines, mostNamed } from "../../view/integers-text.ts";
import { formatBytes } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";
import type { InspectFlags } from "./inspect.ts";

/** Runs `subbyte inspect`. */
export async function inspectAction(model: string, flags: InspectFlags): Promise<void> {
  const { weightBits, activationBits } = flags;
  const network = load(model, flags);
  const report = inspectNetwork(network, { weightBits, activationBits });
  const obstacles = integerObstacles(network);
  if (flags.json === true) {
    return printJson({ schemaVersion: 2, model, ...report, integers: { converts: obstacles.length === 0, obstacles } });
  }
  print(...show(report, obstacles, flags));
}

function load(model: string, flags: InspectFlags): Network {
  if (!isModelName(model)) {
    return importOnnxFile(model, { inputShapes: parseInputShapes(flags.inputShape) });
  }
  const sampleShape = flags.sampleShape.split("x").map(Number);
  if (sampleShape.length !== 3 || !sampleShape.every((size) => Number.isInteger(size) && size > 0)) {
    throw new ConfigError(`"${flags.sampleShape}" is not an image shape`, {
      where: "--sample-shape",
      remedy: "Write channels, height and width, as 3x32x32.",
    });
  }
  return makeModel(model, { sampleShape, classes: flags.classes }, randomStream(0, "inspect"));
}

/** 1234567 as 1.23 M. */
function amount(count: number): string {
  const units = ["", " k", " M", " G", " T", " P"];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? String(value) : `${value.toPrecision(3)}${units[unit]}`;
}

function show(
  report: NetworkReport,
  obstacles: readonly IntegerObstacle[],
  { quiet, verbose }: InspectFlags,
): string[] {
  const { totals, bits, layers } = report;
  const rows = layers.map((layer) => [
    layer.name,
    layer.op,
    layer.input.join("x"),
    layer.output.join("x"),
    layer.weight === undefined ? "" : layer.weight.join("x"),
    layer.parameters,
    amount(layer.multiplications),
    amount(layer.bitOperations),
    formatBytes(layer.parameterBytes),
    layer.quantizable ? "yes" : "no",
  ]);
  const columns = ["layer", "operator", "input", "output", "weight", "parameters", "MACs", "bit operations", "size"];
  const others = Object.entries(report.operators)
    .map(([op, count]) => `${op} ${count}`)
    .join(", ");
  const quantized = layers.filter(({ quantizable }) => quantizable).length;
  const statistics = totals.statistics === 0 ? "" : `, ${totals.statistics} statistics of BatchNormalization`;
  const notes = [...gradientLines(report, verbose === true), ...frozenLines(report.held)];
  return [
    ...(rows.length === 0
      ? []
      : tableLines([...columns, "quantizable"], rows, verbose === true ? undefined : outputColumns())),
    `${report.name}: ${totals.parameters} parameters, ${totals.trainable} of them trainable${statistics}`,
    `at ${bits.weightBits} bits for weights and ${bits.activationBits} for activations: ${amount(totals.multiplications)} MACs, ` +
      `${amount(totals.bitOperations)} bit operations, ${formatBytes(totals.parameterBytes)} (float: ${formatBytes(totals.floatBytes)})`,
    layers.length === 0
      ? "no layer can be quantized: none multiplies by weights"
      : `${quantized} of ${layers.length} layers can be quantized`,
    ...integerLines(obstacles, { verbose: verbose === true }),
    `operators: ${others}`,
    ...(quiet === true ? [] : notes),
  ];
}

/** What has no gradient, by operator and reason. */
function gradientLines({ obstacles }: NetworkReport, verbose: boolean): string[] {
  const groups = refusedGroups(
    obstacles.map(({ node, reason, ...rest }) => ({ ...rest, name: node, message: reason })),
  );
  const [first, ...rest] = groupLines(groups, verbose ? Number.POSITIVE_INFINITY : mostNamed);
  return first === undefined ? [] : [`no gradient: ${first}`, ...rest.map((line) => `             ${line}`)];
}
