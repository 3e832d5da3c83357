/** The output of `subbyte mix`: layers with their bits, and the mix next to uniform configurations. */
import type { Mix } from "../../../study/mixed/mixed.ts";
import type { MixOutcome } from "../../../study/mixed/outcome.ts";
import type { TrainedMix } from "../../../study/mixed/trial.ts";
import { type Cell, tableLines } from "../../view/table.ts";

function millions(count: number): string {
  return (count / 1e6).toFixed(count < 1e6 ? 3 : 1);
}

function small(increase: number): string {
  return increase === 0 ? "0" : increase.toPrecision(3).replace(/e([+-])/, "e$1");
}

/** Every layer with its bits; "kept" where the recipe gave them. */
export function layerTable({ layers }: Mix, width: number | undefined): string[] {
  const columns = [
    "layer",
    "weights",
    "million MACs",
    "W",
    "A",
    "loss of W",
    "loss of A",
    "bytes",
    "million bit operations",
  ];
  const rows = layers.map((layer): Cell[] => [
    layer.layer,
    layer.weights,
    millions(layer.macs),
    layer.weightBits,
    layer.activationBits,
    layer.increase === null ? "kept" : small(layer.increase.weights),
    layer.increase === null ? "kept" : small(layer.increase.activations),
    layer.bytes,
    millions(layer.bitOperations),
  ]);
  return tableLines(columns, rows, width);
}

/** The mix next to uniform configurations, by rising bit operations, before any training. */
export function outcomeTable(mix: Mix, width: number | undefined): string[] {
  const unit = mix.distance === "klDivergence" ? "nats" : "squared error";
  const columns = [
    "configuration",
    `predicted loss (${unit})`,
    "measured",
    "bytes",
    "million bit operations",
    "bits a weight",
  ];
  const all = [mix.mixed, ...mix.uniform].sort((a, b) => a.bitOperations - b.bitOperations || a.bytes - b.bytes);
  return tableLines(columns, all.map(outcomeRow), width);
}

function outcomeRow({ name, predicted, measured, bytes, bitOperations, averageWeightBits }: MixOutcome): Cell[] {
  return [name, small(predicted), small(measured), bytes, millions(bitOperations), averageWeightBits.toFixed(2)];
}

/** Test accuracy after training. */
export function trainedTable(
  mix: Mix,
  trained: { readonly mixed: TrainedMix | null; readonly uniform: TrainedMix | null },
  baseline: string,
  width: number | undefined,
): string[] {
  const baselineOutcome = mix.uniform.find(({ name }) => name === baseline);
  const rows = [
    { outcome: mix.mixed, result: trained.mixed },
    { outcome: baselineOutcome, result: trained.uniform },
  ].flatMap(({ outcome, result }): Cell[][] => {
    if (outcome === undefined || result === null) return [];
    const accuracy = result.mean === null ? "no result" : `${(100 * result.mean).toFixed(2)} %`;
    const spread = result.spread === null ? "" : `±${(100 * result.spread).toFixed(2)}`;
    return [[outcome.name, accuracy, spread, result.count, outcome.bytes, millions(outcome.bitOperations)]];
  });
  const columns = ["trained", "test accuracy", "over seeds", "seeds", "bytes", "million bit operations"];
  return tableLines(columns, rows, width);
}
