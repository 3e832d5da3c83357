/** The chart of ablations: the same weights with one part of the quantizers at work, and with all but that part. */
import * as Plot from "@observablehq/plot";
import type { Ablation } from "../../runs/ablation.ts";
import { isShare, metricTitle } from "../../train/loop/metric-text.ts";
import { colors, draw, legend, rowNames, seriesColor, valueAxis } from "./draw.ts";

/** A row for the weights, one for the activations, one for each layer; lines at no quantizer and at all of them. */
export function ablationChart(ablation: Ablation, width: number): string {
  const { metric, float, quantized, weightsOnly, activationsOnly, layers } = ablation;
  const unit = isShare(metric) ? 100 : 1;
  const row = (label: string, alone: number, without: number) => ({
    label,
    alone: unit * alone,
    without: unit * without,
  });
  const rows = [
    row("all weights", weightsOnly.accuracy, activationsOnly.accuracy),
    row("all activations", activationsOnly.accuracy, weightsOnly.accuracy),
    ...layers.map(({ layer, alone, without }) => row(layer, alone.accuracy, without.accuracy)),
  ];
  const [first, second] = [seriesColor(0), seriesColor(1)];
  const labels = rows.map(({ label }) => label);
  const { rowHeight, marginLeft, axis, marks } = rowNames(labels, width);
  const lines = [
    { at: unit * float.accuracy, name: "none" },
    { at: unit * quantized.accuracy, name: "all" },
  ];
  return draw(
    {
      width,
      height: 48 + rowHeight * rows.length,
      marginLeft,
      marginRight: 24,
      ariaLabel: `Test ${metricTitle(metric)} with some of the quantizers`,
      x: valueAxis(`test ${metricTitle(metric)}${isShare(metric) ? ", %" : ""}`, width),
      y: axis,
      marks: [
        Plot.ruleX(lines, { x: "at", stroke: colors.faint, strokeDasharray: "5 4" }),
        Plot.text(lines, { x: "at", frameAnchor: "top", dy: -7, text: "name", fill: colors.faint }),
        Plot.dot(rows, { x: "alone", y: "label", fill: first, r: 4.5 }),
        Plot.dot(rows, { x: "without", y: "label", fill: second, r: 4.5 }),
        ...marks,
      ],
    },
    legend(
      [
        { label: "only this quantized", color: first },
        { label: "all but this", color: second },
      ],
      width,
    ),
  );
}
