/**
 * The gallery: every chart of the report, drawn from made-up numbers, as an SVG to look at and to compare with.
 *
 * After Observable Plot's own: numbers are cut to three digits and generated ids counted anew, so that only what can be
 * seen makes a difference. A chart that Plot warns about fails. @alone
 */
import { describe, expect, it, vi } from "vitest";
import { ablationChart } from "../../src/report/charts/ablation.ts";
import { changeChart } from "../../src/report/charts/change.ts";
import { paretoChart } from "../../src/report/charts/cost.ts";
import { colors, figureWidths, seriesColor, standalone } from "../../src/report/charts/draw.ts";
import { layersChart } from "../../src/report/charts/layers.ts";
import { bitWorthChart, interactionChart, mapChart } from "../../src/report/charts/map.ts";
import { codeUsageChart, learningCurves, levelHistogramChart, trajectoryChart } from "../../src/report/charts/run.ts";
import type { Ablation } from "../../src/runs/ablation.ts";
import { effects, front, maps, points, records, reference } from "./samples.ts";

const [thread, lsq] = maps;
if (thread === undefined || lsq === undefined) throw new Error("no maps");

const curves = records
  .filter((item) => item.recipe === "thread" && item.seed === 0)
  .map((item) => ({
    label: item.id,
    color: seriesColor([8, 6, 5, 4, 3].indexOf(item.activationBits)),
    points: item.epochs.map(({ epoch, testAccuracy }) => ({ x: epoch, y: testAccuracy })),
    stopped: item.status === "stopped",
  }));
const groups = [8, 6, 5, 4, 3].map((bits, index) => ({ label: `A${bits}`, color: seriesColor(index) }));
const loss = Array.from({ length: 60 }, (_, step) => ({ x: step, y: 2.3 / (1 + step / 8) }));
const bell = Array.from({ length: 48 }, (_, bin) => Math.round(900 * Math.exp(-(((bin - 22) / 9) ** 2))));
const layer = (name: string, macs: number, bits: number) => ({
  ...{ name, operator: "Conv", macs, weights: 100, bytes: 100 },
  ...{
    weight: { bits, levels: 2 ** bits },
    activation: { bits, levels: 2 ** bits },
    bitOperations: macs * bits * bits,
  },
});

const at = (accuracy: number) => ({ accuracy, loss: 1 - accuracy });
const part = (name: string, alone: number, without: number) => ({
  ...{ layer: name, alone: at(alone), without: at(without) },
});
const ablation: Ablation = {
  ...{ metric: "accuracy", samples: 1000, float: at(0.86), quantized: at(0.45), weightsOnly: at(0.85) },
  activationsOnly: at(0.46),
  layers: [part("conv1", 0.7, 0.6), part("layer1.0.conv1", 0.82, 0.47), part("layer2.0.downsample.0", 0.85, 0.45)],
};
/** Nearer to each other than a factor of ten, so that the axis is linear. */
const scales = [0.14, 0.26, 0.3].map((scale, index) => ({
  label: `layer${index}.input`,
  color: seriesColor(index),
  points: [0, 80, 160].map((step) => ({ x: step, y: scale * (1 + step / 1000) })),
}));

/** Every chart by its place in gallery/: the file of src/report/charts/ that draws it, and a name. */
const charts: Readonly<Record<string, (width: number) => string>> = {
  "map/thread": (width) => mapChart(thread, reference, width),
  "map/lsq": (width) => mapChart(lsq, reference, width),
  "map/interaction": (width) => interactionChart(thread, reference, width),
  "map/activation-bit": (width) => bitWorthChart(effects[0]?.activationBits ?? [], "activation", width),
  "map/weight-bit": (width) => bitWorthChart(effects[0]?.weightBits ?? [], "weight", width),
  "cost/pareto": (width) => paretoChart(points, front, "bitOperations", reference, width),
  "layers/bits": (width) =>
    layersChart(
      [layer("conv1", 1e6, 8), layer("layer1.0.conv1", 4e6, 4), layer("layer1.0.conv2", 4e6, 4), layer("fc", 1e4, 8)],
      width,
    ),
  "run/curves": (width) => learningCurves(curves, groups, reference, width),
  "run/trajectory": (width) => trajectoryChart([{ label: "loss", color: colors.accent, points: loss }], "loss", width),
  "run/level-histogram": (width) =>
    levelHistogramChart({ name: "conv1", quantMin: -4, quantMax: 3, from: -6, to: 5, counts: bell }, width),
  "run/code-usage": (width) =>
    codeUsageChart(
      [0.1, 0.4, 0.3, 0.2, 0, 0, 0, 0].map((share, code) => ({ code, share })),
      "conv1",
      width,
    ),
  "change/configurations": (width) =>
    changeChart(
      [
        { label: "W4A4", before: 0.592, after: 0.876 },
        { label: "W4A3", before: 0.1, after: 0.871 },
        { label: "W2A2", before: null, after: 0.869 },
      ],
      { before: "thread", after: "lsq" },
      reference.float,
      width,
    ),
  "change/long-names": (width) =>
    changeChart(
      [
        { label: "use all codes of the requested bits", before: 0.448, after: 0.815 },
        { label: "fuse Conv, BatchNormalization and ReLU", before: 0.815, after: 0.865 },
        { label: "learn the ranges (preset lsq: fused, first and last layer at 8 bits)", before: 0.865, after: 0.876 },
      ],
      { before: "without", after: "with" },
      reference.float,
      width,
    ),
  "ablation/layers": (width) => ablationChart(ablation, width),
  "run/scales": (width) => trajectoryChart(scales, "scale", width, { type: "log", groups: scales }),
};

/** What is left of a drawing when nothing that cannot be seen is left. */
function normalized(svg: string): string {
  const ids = new Map<string, string>();
  return svg
    .replaceAll(/plot-clip-\d+/g, (id) => {
      ids.set(id, ids.get(id) ?? `clip-${ids.size + 1}`);
      return ids.get(id) ?? id;
    })
    .replaceAll(/-?\d+\.\d{4,}/g, (number) => String(Number(Number(number).toFixed(3))))
    .replaceAll("><", ">\n<");
}

describe("the gallery", () => {
  const drawings = Object.entries(charts).flatMap(([name, draw]) =>
    Object.entries(figureWidths).map(([size, width]) => ({ name: `${name}-${size}`, svg: () => draw(width) })),
  );

  it.each(drawings)("$name", async ({ name, svg }) => {
    const warn = vi.spyOn(console, "warn");
    const drawn = svg();
    expect(warn).not.toHaveBeenCalled();
    expect(drawn).not.toContain("\u26a0");
    expect(drawn).not.toMatch(/NaN|undefined|Infinity/);
    await expect(`${normalized(standalone(drawn))}\n`).toMatchFileSnapshot(`gallery/${name}.svg`);
  });

  it("holds what a figure of its own needs: no colour of a page, a background, a name", () => {
    const svg = standalone(charts["map/thread"]?.(720) ?? "");
    expect(svg).not.toMatch(/var\(--(?!plot)|currentColor/);
    expect(svg).toContain('xmlns="http://www.w3.org/2000/svg"');
    expect(svg).toContain("aria-label");
  });
});
