/** The charts of the map: the grid itself, the two axes against each other, and what a bit is worth. */
import * as Plot from "@observablehq/plot";
import type { AccuracyMap, MapCell, Reference } from "../../study/result/accuracy-map.ts";
import type { BitValue } from "../../study/result/effects.ts";
import { belowMiddle, colors, draw, legend, seriesColor } from "./draw.ts";
import { accuracyAxis, floatRule } from "./float-line.ts";

/** Red, yellow, blue, as ColorBrewer's RdYlBu, which readers who do not see red and green apart can read. */
const heatStops: readonly (readonly [number, number, number])[] = [
  [190, 40, 46],
  [244, 126, 76],
  [253, 219, 138],
  [171, 214, 232],
  [69, 117, 180],
];

/** Most of what is to be seen lies just below float: the scale is stretched there. */
const heatExponent = 4;

/** Where an accuracy lies between chance (0) and float (1), stretched. */
export function heatOf(accuracy: number, reference: Reference, best: number): number {
  const top = Math.max(reference.float ?? best, reference.chance + 1e-6);
  const linear = (accuracy - reference.chance) / (top - reference.chance);
  return Math.min(1, Math.max(0, linear)) ** heatExponent;
}

function heatColor(heat: number): { readonly fill: string; readonly ink: string } {
  const at = heat * (heatStops.length - 1);
  const low = heatStops[Math.floor(at)] ?? [0, 0, 0];
  const high = heatStops[Math.ceil(at)] ?? low;
  const mixed = low.map((value, channel) => Math.round(value + (at % 1) * ((high[channel] ?? value) - value)));
  const [red = 0, green = 0, blue = 0] = mixed;
  const luminance = (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  return { fill: `rgb(${red}, ${green}, ${blue})`, ink: luminance > 0.55 ? "#111111" : "#ffffff" };
}

function percent(value: number): string {
  return (100 * value).toFixed(1);
}

/** The text in a cell below its accuracy: the spread over seeds. */
function spreadText(cell: MapCell): string {
  return cell.spread === null ? "" : `±${percent(cell.spread)}`;
}

/** `4` or, where the levels are fewer than the bits promise, `4 (8 levels)`. */
function axisLabels(map: AccuracyMap, axis: "weights" | "activations"): Map<number, string> {
  const cells = axis === "weights" ? map.rows.flatMap((row) => row[0] ?? []) : (map.rows[0] ?? []);
  return new Map(
    cells.map((cell) => {
      const bits = axis === "weights" ? cell.weightBits : cell.activationBits;
      const levels = map.rows.flat().find((other) => {
        const own = axis === "weights" ? other.weightBits : other.activationBits;
        return own === bits && other.levels[axis] !== null;
      })?.levels[axis];
      return [bits, `${bits} bits\n${levels ?? "?"} levels`];
    }),
  );
}

/** The grid: a cell for each pair of bits, with its accuracy in percent. */
export function mapChart(map: AccuracyMap, reference: Reference, width: number): string {
  const cells = map.rows.flat();
  const results = cells.flatMap((cell) => (cell.mean === null ? [] : [{ ...cell, mean: cell.mean }]));
  const best = Math.max(0, ...results.map((cell) => cell.mean));
  const look = (accuracy: number) => heatColor(heatOf(accuracy, reference, best));
  const missing = cells.filter((cell) => cell.mean === null);
  const weights = axisLabels(map, "weights");
  const activations = axisLabels(map, "activations");
  const place = { x: "activationBits", y: "weightBits" } as const;
  const isNarrow = width < 500;
  return draw({
    width,
    height: 44 + 52 * map.weightBits.length,
    marginTop: 44,
    marginBottom: 4,
    marginLeft: 74,
    marginRight: 4,
    ariaLabel: `Accuracy of ${map.recipe} over weight bits and activation bits`,
    x: { type: "band", domain: map.activationBits, padding: 0.04, axis: null },
    y: { type: "band", domain: map.weightBits, padding: 0.04, axis: null },
    marks: [
      Plot.axisX({
        anchor: "top",
        label: null,
        tickSize: 0,
        tickFormat: (bits: number) => activations.get(bits) ?? "",
        lineAnchor: "bottom",
      }),
      Plot.axisY({ label: null, tickSize: 0, tickFormat: (bits: number) => weights.get(bits) ?? "" }),
      Plot.text(["weights ↓\nactivations →"], {
        frameAnchor: "top-left",
        textAnchor: "start",
        dx: -72,
        dy: -36,
        fontSize: isNarrow ? 10 : 11,
        fill: colors.faint,
      }),
      Plot.cell(missing, { ...place, fill: "var(--empty)", stroke: colors.line, strokeDasharray: "3 3", rx: 4 }),
      Plot.text(missing, {
        ...place,
        text: (cell: MapCell) => cell.missing[0]?.status ?? "",
        fill: colors.faint,
        fontSize: isNarrow ? 9 : 11,
      }),
      Plot.cell(results, {
        ...place,
        fill: (cell: { mean: number }) => look(cell.mean).fill,
        rx: 4,
        title: (cell: MapCell) => `W${cell.weightBits}A${cell.activationBits}: ${percent(cell.mean ?? 0)} %`,
      }),
      Plot.text(results, {
        ...place,
        text: (cell: { mean: number }) => percent(cell.mean),
        fill: (cell: { mean: number }) => look(cell.mean).ink,
        fontSize: isNarrow ? 13 : 15,
        fontWeight: 600,
        dy: results.some((cell) => cell.spread !== null) ? -6 : 0,
      }),
      Plot.text(results, {
        ...place,
        text: spreadText,
        fill: (cell: { mean: number }) => look(cell.mean).ink,
        fontSize: isNarrow ? 9 : 11,
        dy: 10,
      }),
    ],
  });
}

/** Accuracy over activation bits, a line for each number of weight bits: lines that part show the two act together. */
export function interactionChart(map: AccuracyMap, reference: Reference, width: number): string {
  const cells = map.rows.flat().flatMap((cell) => (cell.mean === null ? [] : [{ ...cell, mean: cell.mean }]));
  const color = new Map(map.weightBits.map((bits, index) => [bits, seriesColor(index)]));
  const names = map.weightBits.map((bits) => ({ label: `W${bits}`, color: color.get(bits) ?? colors.text }));
  const spreads = cells.filter((cell) => cell.spread !== null);
  return draw(
    {
      width,
      height: 240,
      marginLeft: 46,
      marginRight: 14,
      ariaLabel: `Accuracy of ${map.recipe} over activation bits, for each number of weight bits`,
      x: {
        type: "point",
        domain: map.activationBits,
        label: "activation bits",
        ...belowMiddle,
        padding: 0.2,
      },
      y: {
        ...accuracyAxis(
          "accuracy, %",
          cells.map((cell) => cell.mean),
          reference,
        ),
        nice: true,
      },
      marks: [
        ...floatRule(reference),
        Plot.ruleX(spreads, {
          x: "activationBits",
          y1: (cell: MapCell) => (cell.mean ?? 0) - (cell.spread ?? 0),
          y2: (cell: MapCell) => (cell.mean ?? 0) + (cell.spread ?? 0),
          stroke: (cell: MapCell) => color.get(cell.weightBits) ?? "",
        }),
        ...map.weightBits.map((bits) =>
          Plot.line(
            cells.filter((cell) => cell.weightBits === bits),
            { x: "activationBits", y: "mean", stroke: color.get(bits) ?? colors.text, strokeWidth: 2, marker: "dot" },
          ),
        ),
      ],
    },
    legend(names, width),
  );
}

/** The value of the bits of one axis: points of accuracy lost with each step down, for each value of the other axis. */
export function bitWorthChart(values: readonly BitValue[], axis: "weight" | "activation", width: number): string {
  const other = axis === "weight" ? "A" : "W";
  const shown = values.flatMap((value) =>
    value.perBit === null ? [] : [{ ...value, step: stepName(value), points: 100 * value.perBit }],
  );
  const others = [...new Set(values.map((value) => value.at))].sort((a, b) => b - a);
  const color = new Map(others.map((bits, index) => [bits, seriesColor(index)]));
  const names = others.map((bits) => ({ label: `at ${other}${bits}`, color: color.get(bits) ?? colors.text }));
  const domain = [...new Set(values.map(stepName))];
  return draw(
    {
      width,
      height: 210,
      marginLeft: 46,
      marginRight: 14,
      ariaLabel: `Accuracy lost for each ${axis} bit`,
      fx: { domain, label: `${axis} bits, from → to`, ...belowMiddle, padding: 0.12 },
      x: { type: "band", domain: others, axis: null },
      y: { label: "points lost per bit", labelArrow: "none", grid: true, ticks: 5, nice: true },
      marks: [
        Plot.axisFx({ anchor: "bottom", label: `${axis} bits, from → to`, ...belowMiddle }),
        Plot.barY(shown, {
          fx: "step",
          x: "at",
          y: "points",
          fill: (value: BitValue) => color.get(value.at) ?? "",
          rx: 2,
        }),
        Plot.ruleY([0], { stroke: colors.faint }),
      ],
    },
    legend(names, width),
  );
}

function stepName({ from, to }: BitValue): string {
  return `${from} → ${to}`;
}
