/** The table at the end of `subbyte convert`: what the float network, the simulation and the integers reach, and their cost. */

import { isQuantized, type QuantizedNetwork } from "../../../compile/sites.ts";
import type { IntegerNetwork } from "../../../convert/integer-network.ts";
import { evaluateIntFile, timeFloatFile, timeIntFile } from "../../../convert/prove/evaluate-file.ts";
import type { StoredSize } from "../../../convert/size.ts";
import { type Dataset, firstSamples } from "../../../data/dataset/dataset.ts";
import { SubbyteError } from "../../../errors.ts";
import type { Network } from "../../../ir/network.ts";
import { networkCost } from "../../../runs/cost.ts";
import type { Engine } from "../../../runtime/engine.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import type { LoadedRun } from "../../../train/load-run.ts";
import { evaluate } from "../../../train/loop/evaluate.ts";
import { metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import type { MetricName } from "../../../train/loop/metrics.ts";
import { networkOfRun } from "../../../train/teacher/teacher.ts";
import { outputColumns } from "../../output.ts";
import { formatBytes } from "../../view/progress-format.ts";
import { shownPath } from "../../view/shown-path.ts";
import { type Cell, tableLines } from "../../view/table.ts";
import type { ConvertFlags } from "./convert.ts";
import { floatNetwork } from "./float.ts";

/** Multiply-accumulates of one evaluation; of a large network fewer test samples are measured. */
const measuredMacs = 1e11;
const fewestSamples = 32;
const evaluatedBatch = 64;

/** One row of the table. */
export interface DeploymentRow {
  readonly accuracy: number;
  /** Weights and other parameters as stored; null for the simulation, which is not deployed. */
  readonly bytes: number | null;
  /** Median time of one batch of the file on ONNX Runtime; null for the simulation. */
  readonly milliseconds: number | null;
}

/** Float, simulation and integers next to each other. */
export interface DeploymentTable {
  readonly metric: MetricName;
  readonly data: string;
  /** Samples that were measured, and those that there are. */
  readonly samples: number;
  readonly available: number;
  /** Samples in a batch whose time was measured. */
  readonly batchSize: number;
  /** The float network's run; null for the run's own weights without quantizers. */
  readonly floatRun: string | null;
  /** Quantizers of the simulation that training did not have. */
  readonly addedQuantizers: number;
  readonly float: DeploymentRow;
  readonly simulation: DeploymentRow;
  readonly integers: DeploymentRow;
}

/** A conversion: the simulation, with the quantizers that were added to it, and its integers. */
export interface Conversion {
  readonly source: QuantizedNetwork;
  readonly network: IntegerNetwork;
}

/** @returns undefined for data without labels, on which nothing but agreement can be measured. */
export async function measureDeployment(
  run: LoadedRun,
  { source, network }: Conversion,
  { packedBytes, floatBytes }: StoredSize,
  test: Dataset,
  flags: ConvertFlags,
): Promise<DeploymentTable | undefined> {
  if (test.target.kind === "none") return undefined;
  const count = flags.limit ?? measuredSamples(source, test.count);
  const data = firstSamples(test, Math.min(count, test.count));
  const engine = nodeEngine({ threads: flags.threads });
  const { batch, pack: packed } = flags;
  const float = await floatOf(run);
  const reached = await evaluate(float.network, data, engine);
  const simulated = await evaluate(source, data, engine);
  const integers = await evaluateIntFile(network, data, engine, { batchSize: evaluatedBatch, packed });
  return {
    metric: simulated.metric,
    data: data.name,
    samples: data.count,
    available: test.count,
    batchSize: batch,
    floatRun: float.run,
    addedQuantizers: isQuantized(run.network) ? source.sites.length - run.network.sites.length : 0,
    float: {
      accuracy: reached.accuracy,
      bytes: floatBytes,
      milliseconds: await floatTime(float.network, engine, batch),
    },
    simulation: { accuracy: simulated.accuracy, bytes: null, milliseconds: null },
    integers: {
      accuracy: integers.accuracy,
      bytes: packedBytes,
      milliseconds: await timeIntFile(network, engine, { batchSize: batch, packed }),
    },
  };
}

/** As many samples as a few seconds allow. */
function measuredSamples(network: Network, available: number): number {
  const { macs } = networkCost(network);
  return Math.min(available, Math.max(fewestSamples, Math.floor(measuredMacs / Math.max(1, macs))));
}

/** The float run that the training started from, where it is there still; else its own weights without quantizers. */
async function floatOf(run: LoadedRun): Promise<{ readonly network: Network; readonly run: string | null }> {
  const { from } = run.config;
  if (from !== undefined) {
    try {
      const network = await networkOfRun(from, run.data);
      if (!isQuantized(network)) return { network, run: from };
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw error;
    }
  }
  return { network: floatNetwork(run), run: null };
}

/** A network of one batch size has no file for another. */
async function floatTime(network: Network, engine: Engine, batchSize: number): Promise<number | null> {
  try {
    return await timeFloatFile(network, engine, batchSize);
  } catch (error) {
    if (error instanceof SubbyteError) return null;
    throw error;
  }
}

/** Returns the table as lines, with a note where not all samples were measured. */
export function deploymentLines(table: DeploymentTable): string[] {
  const { metric, samples, available, batchSize, data } = table;
  const row = (name: string, { accuracy, bytes, milliseconds }: DeploymentRow): Cell[] => [
    name,
    showMetric(metric, accuracy),
    bytes === null ? "" : formatBytes(bytes),
    milliseconds === null ? "" : milliseconds.toPrecision(3),
  ];
  const floatName =
    table.floatRun === null ? "float: the same weights without quantizers" : `float: ${shownPath(table.floatRun)}`;
  const right = (title: string) => ({ title, align: "right" }) as const;
  const time = batchSize === 1 ? "ms a sample" : `ms for ${batchSize} samples`;
  const rest = samples === available ? "" : `: --limit N measures more, --no-measure nothing`;
  return [
    ...tableLines(
      ["", right(`test ${metricTitle(metric)}`), right("bytes"), right(time)],
      [
        row(floatName, table.float),
        row(table.addedQuantizers === 0 ? "simulation" : "simulation, with the added quantizers", table.simulation),
        row("integers: the int file on ONNX Runtime", table.integers),
      ],
      outputColumns(),
    ),
    `measured on ${samples} of ${available} samples of ${data}${rest}`,
    ...differenceLines(table),
  ];
}

/** Why the integers reach another number than the simulation, although every code that --verify compares is the same. */
function differenceLines({ metric, simulation, integers }: DeploymentTable): string[] {
  if (showMetric(metric, simulation.accuracy) === showMetric(metric, integers.accuracy)) return [];
  return [
    "The integers differ from the simulation in single samples: they round biases and factors, which the simulation keeps in",
    "float32. --verify compares codes with the simulation that rounds them too (docs/integer.md).",
  ];
}
