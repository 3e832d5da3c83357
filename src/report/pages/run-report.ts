/** The report of one run: its curves, its layers, its weights with the levels that they are rounded to. */
import { basename } from "node:path";
import { countQuantizers } from "../../compile/passes/without-quantizers.ts";
import { isQuantized } from "../../compile/sites.ts";
import { configToYaml } from "../../config/config.ts";
import { modelTitle } from "../../config/schema/schema.ts";
import { readProbeRecords } from "../../diagnose/diagnose-run.ts";
import { networkCost } from "../../runs/cost.ts";
import type { Finding } from "../../runs/finding.ts";
import { runPaths } from "../../runs/folder.ts";
import { type MetricsRecord, readMetrics } from "../../runs/metrics-log.ts";
import { type EpochPoint, readRunRecord } from "../../runs/record.ts";
import { withCommands } from "../../runs/remedy-command.ts";
import { type LoadedRun, loadRun } from "../../train/load-run.ts";
import { isShare, metricOf, metricTitle } from "../../train/loop/metric-text.ts";
import type { MetricName } from "../../train/loop/metrics.ts";
import { levelsOf } from "../../train/run.ts";
import { colors, seriesColor } from "../charts/draw.ts";
import { layersChart } from "../charts/layers.ts";
import {
  type Curve,
  codeUsageChart,
  learningCurves,
  levelHistogramChart,
  thinned,
  trajectoryChart,
} from "../charts/run.ts";
import { type WeightLevels, weightLevels } from "../charts/weight-levels.ts";
import { ablationFigure, diagnosisFigures } from "./diagnosis-figures.ts";
import { causesOf, findingsHtml } from "./findings.ts";
import { percentOrDash, siNumber } from "./format.ts";
import { copyable, type Figure, html, type Report, type Section, table } from "./page.ts";

/** The report of the run in a folder. */
export async function runReport(folder: string): Promise<Report> {
  const run = await loadRun(folder);
  const paths = runPaths(folder);
  const [metrics, kept] = await Promise.all([readMetrics(paths.metrics), readRunRecord(paths)]);
  const record = { ...kept, findings: withCommands(kept.findings, { folder, from: run.config.from }) };
  const { epochs } = record;
  const cost = networkCost(run.network);
  const weights = weightLevels(run.network);
  const metric = metricOf(run.data.test.target, run.teacher?.outputs);
  const curves = [...epochFigures(epochs, metric), ...stepFigures(metrics)];
  const layers: Figure = {
    name: "layers",
    title: "Bit operations of each layer",
    caption: "Bits of weights × bits of activations at the end of each bar.",
    draw: (width) => layersChart(cost.layers, width),
    data: cost,
  };
  const levels = weightFigures(weights);
  const ablations = record.ablation === null ? [] : [ablationFigure("run", basename(folder), record.ablation)];
  const named = { name: basename(folder), title: basename(folder) };
  const measured = diagnosisFigures(named, run.network, await readProbeRecords(paths.diagnosis));
  const sections: readonly (Section | undefined)[] = [
    record.findings.length + ablations.length === 0
      ? undefined
      : {
          id: "findings",
          title: "Causes of lost accuracy",
          body: html`${findingsHtml(record.findings)}${ablations}`,
        },
    { id: "curves", title: "Learning curves", body: html`${curves}` },
    { id: "layers", title: "Layers", body: html`${layersTable(run, weights, record.findings)}${layers}` },
    measured.length === 0
      ? undefined
      : { id: "activations", title: "Activations while training", body: html`${measured}` },
    levels.length === 0 ? undefined : { id: "weights", title: "Weights and their levels", body: html`${levels}` },
    { id: "configuration", title: "The configuration", body: copyable(configToYaml(run.config)) },
  ];
  return {
    figures: [...ablations, ...curves, layers, ...measured, ...levels],
    page: {
      title: `Run ${basename(folder)}`,
      lead: leadOf(run, metric, record.summary?.accuracy ?? epochs.at(-1)?.testAccuracy ?? null),
      sections: sections.filter((section) => section !== undefined),
      data: { schemaVersion: 1, config: run.config, epochs, cost, weights, findings: record.findings },
      footer: `Made by subbyte from ${folder}.`,
    },
  };
}

function leadOf(run: LoadedRun, metric: MetricName, accuracy: number | null) {
  const { quantization, model } = run.config;
  const { weights, activations } = levelsOf(run.config, run.network);
  const shown = isShare(metric) ? `${percentOrDash(accuracy)} %` : (accuracy?.toFixed(4) ?? "–");
  const fact = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  const asked =
    quantization === null
      ? isQuantized(run.network)
        ? `of the file: ${countQuantizers(run.network)}`
        : "float"
      : `${quantization.preset} W${quantization.weightBits}A${quantization.activationBits}`;
  return html`<dl class="facts">${fact("model", modelTitle(model))}${fact("requested", asked)}
${fact("levels of weights / activations", `${weights ?? "float"} / ${activations ?? "float"}`)}
${fact(`test ${metricTitle(metric)}`, shown)}${fact("steps", String(run.step))}</dl>`;
}

function epochFigures(epochs: readonly EpochPoint[], metric: MetricName): Figure[] {
  if (epochs.length === 0) return [];
  const title = metricTitle(metric);
  const curve = (label: string, color: string, pick: (point: EpochPoint) => number | null): Curve => ({
    label,
    color,
    points: epochs.flatMap((point) => {
      const y = pick(point);
      return y === null ? [] : [{ x: point.epoch, y }];
    }),
  });
  const curves = [
    curve("test", seriesColor(0), (point) => point.testAccuracy),
    curve("training", seriesColor(1), (point) => point.trainAccuracy),
  ].filter(({ points }) => points.length > 0);
  const reference = { float: null, chance: 0, tolerance: 0 };
  return [
    {
      name: "accuracy",
      title: `${title[0]?.toUpperCase()}${title.slice(1)} at the end of each epoch${isShare(metric) ? ", %" : ""}`,
      caption:
        curves.length > 1
          ? "On the test samples, and on the training samples during training."
          : "On the test samples.",
      draw: (width) =>
        isShare(metric)
          ? learningCurves(curves, curves, reference, width, title)
          : trajectoryChart(curves, `test ${title}`, width, { along: "epoch" }),
      data: epochs,
    },
  ];
}

/** A line of a log has a few hundred pixels: more points than that are averaged. */
const mostPoints = 300;

function stepFigures(metrics: readonly MetricsRecord[]): Figure[] {
  const series = (key: string) =>
    metrics.flatMap((record) => {
      const value = record[key];
      return typeof value === "number" && record.testAccuracy === undefined ? [{ x: record.step, y: value }] : [];
    });
  const figure = (name: string, title: string, key: string, label: string): Figure[] => {
    const points = thinned(series(key), mostPoints);
    if (points.length < 2) return [];
    const curves = [{ label, color: colors.accent, points }];
    return [{ name, title, caption: "", draw: (width) => trajectoryChart(curves, label, width), data: points }];
  };
  return [
    ...figure("loss", "Training loss", "loss", "loss"),
    ...figure("learning-rate", "Learning rate", "learningRate", "learning rate"),
  ];
}

function layersTable(run: LoadedRun, weights: readonly WeightLevels[], findings: readonly Finding[]) {
  const byName = new Map(weights.map((item) => [item.name, item]));
  const rows = networkCost(run.network).layers.map((layer) => {
    const own = byName.get(layer.name);
    return [
      layer.name,
      layer.weight.levels ?? "float",
      own?.distinct ?? "–",
      own === undefined ? "–" : (100 * own.clipped).toFixed(1),
      layer.activation.levels ?? "float",
      siNumber(layer.macs),
      siNumber(layer.bytes),
      causesOf(layer.name, findings),
    ];
  });
  const columns = [
    "layer",
    "weight levels",
    "codes used",
    "clipped, %",
    "activation levels",
    "MACs",
    "bytes",
    "findings",
  ];
  return table(columns, rows);
}

/** Maximum number of levels that the eye can distinguish. */
const drawableLevels = 64;

/** Histograms of the weights with their levels, and the use of codes, of the layers with few levels. */
export function weightFigures(weights: readonly WeightLevels[]): Figure[] {
  return weights
    .filter(({ quantMin, quantMax }) => quantMax - quantMin < drawableLevels)
    .flatMap((item) => [
      {
        name: `weights-${item.name}`,
        title: `${item.name}: weights in units of the scale, and the levels`,
        caption: `${item.distinct} of ${item.quantMax - item.quantMin + 1} codes are used; ${(100 * item.clipped).toFixed(1)} % of the weights are clipped.`,
        draw: (width: number) => levelHistogramChart(item, width),
        data: item,
      },
      {
        name: `codes-${item.name}`,
        title: `${item.name}: how often each code is used, %`,
        caption: "A cross marks a code that no weight uses.",
        draw: (width: number) => codeUsageChart(item.usage, item.name, width),
        data: item.usage,
      },
    ]);
}
