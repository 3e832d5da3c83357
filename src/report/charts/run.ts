/** The charts of trainings: learning curves, trajectories, and histograms with the levels of the quantizer. */
import * as Plot from "@observablehq/plot";
import { mean } from "../../base/statistics.ts";
import { belowMiddle, colors, draw, legend } from "./draw.ts";
import { accuracyAxis, type FloatReference, floatRule } from "./float-line.ts";

/** One line of a chart over epochs or steps. */
export interface Curve {
  readonly label: string;
  readonly color: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly dashed?: boolean;
  /** Stopped early at its last point. */
  readonly stopped?: boolean;
}

/** Draws the test accuracy, or the metric `title`, in percent over epochs. Curves of one colour form a group of the legend. */
export function learningCurves(
  curves: readonly Curve[],
  groups: readonly { readonly label: string; readonly color: string }[],
  reference: FloatReference,
  width: number,
  title = "accuracy",
): string {
  const points = curves.flatMap((curve) => curve.points);
  const lastEpoch = Math.max(1, ...points.map((point) => point.x));
  const ends = curves.flatMap((curve) => (curve.stopped === true ? curve.points.slice(-1) : []));
  return draw(
    {
      width,
      height: 260,
      marginLeft: 46,
      marginRight: 16,
      ariaLabel: `Test ${title} over epochs`,
      x: {
        label: "epoch",
        ...belowMiddle,
        ticks: Math.min(lastEpoch, 8),
        tickFormat: (epoch: number) => (Number.isInteger(epoch) ? String(epoch) : ""),
      },
      y: accuracyAxis(
        `test ${title}, %`,
        points.map((point) => point.y),
        reference,
      ),
      marks: [
        ...floatRule(reference),
        ...curves.map((curve) =>
          Plot.line(curve.points, {
            x: "x",
            y: "y",
            stroke: curve.color,
            strokeWidth: 1.6,
            strokeOpacity: 0.85,
            marker: curve.points.length < 12 ? "dot" : "none",
            title: () => curve.label,
            ...(curve.dashed === true ? { strokeDasharray: "4 3" } : {}),
          }),
        ),
        Plot.dot(ends, { x: "x", y: "y", symbol: "times", stroke: colors.bad, strokeWidth: 2, r: 5 }),
      ],
    },
    legend(groups, width),
  );
}

/** Returns means of neighbouring points, at most `most` of them. */
export function thinned(points: Curve["points"], most: number): Curve["points"] {
  const size = Math.ceil(points.length / most);
  if (size <= 1) return points;
  const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, i) =>
    points.slice(i * size, (i + 1) * size),
  );
  return groups.map((group) => ({ x: mean(group.map(({ x }) => x)), y: mean(group.map(({ y }) => y)) }));
}

/** Axis and labels of a chart of trajectories. */
export interface TrajectoryOptions {
  /** `log` is used where the values differ by more than a factor of ten. */
  readonly type?: "linear" | "log";
  readonly along?: "step" | "epoch";
  /** The groups of the legend; default: the curves. Curves of one colour form a group. */
  readonly groups?: readonly { readonly label: string; readonly color: string }[];
}

/** Draws the loss, or another quantity, over steps or epochs; several curves share the axes. */
export function trajectoryChart(
  curves: readonly Curve[],
  label: string,
  width: number,
  { type: wanted = "linear", along = "step", groups = curves }: TrajectoryOptions = {},
): string {
  const values = curves.flatMap(({ points }) => points.map(({ y }) => y));
  const type = wanted === "log" && Math.max(...values) > 10 * Math.min(...values) ? "log" : "linear";
  return draw(
    {
      width,
      height: 230,
      marginLeft: 54,
      marginRight: 16,
      ariaLabel: `${label} over ${along}s`,
      x: { label: along, ...belowMiddle, ticks: width < 500 ? 4 : 8, nice: false },
      y: { type, label, labelArrow: "none", grid: true, ticks: 5, tickFormat: plainNumber, nice: type === "linear" },
      marks: curves.map((curve) =>
        Plot.line(curve.points, { x: "x", y: "y", stroke: curve.color, strokeWidth: 1.6, title: () => curve.label }),
      ),
    },
    legend(groups, width),
  );
}

/** Formats 0.28 as `0.28`, not as `280m`. */
function plainNumber(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** A tensor's values in units of its step size, and how often each code is used. */
export interface LevelHistogram {
  readonly name: string;
  readonly quantMin: number;
  readonly quantMax: number;
  /** Bins of equal width between `from` and `to`, in codes. */
  readonly from: number;
  readonly to: number;
  readonly counts: readonly number[];
}

/** Draws the distribution of values with the levels that they are rounded to. */
export function levelHistogramChart(histogram: LevelHistogram, width: number): string {
  const { from, to, counts, quantMin, quantMax } = histogram;
  const size = (to - from) / counts.length;
  const bins = counts.map((count, index) => ({ x1: from + index * size, x2: from + (index + 1) * size, count }));
  const levels = Array.from({ length: quantMax - quantMin + 1 }, (_, index) => quantMin + index);
  // More levels than pixels would be a grey area: then only the outermost are drawn.
  const drawn = levels.length > width / 6 ? [quantMin, quantMax] : levels;
  return draw({
    width,
    height: 150,
    marginLeft: 46,
    marginRight: 8,
    marginBottom: 34,
    marginTop: 8,
    ariaLabel: `Values of ${histogram.name} in steps, with the levels ${quantMin} to ${quantMax}`,
    x: {
      label: "value / step size",
      ...belowMiddle,
      domain: [Math.min(from, quantMin - 0.5), Math.max(to, quantMax + 0.5)],
      ticks: 8,
    },
    y: { label: null, ticks: 3, tickFormat: "s", grid: true },
    marks: [
      Plot.rectY(bins, {
        x1: "x1",
        x2: "x2",
        y: "count",
        fill: (bin: { x1: number; x2: number }) =>
          bin.x2 <= quantMin - 0.5 || bin.x1 >= quantMax + 0.5 ? colors.bad : colors.accent,
        fillOpacity: 0.75,
        inset: 0,
      }),
      Plot.ruleX(drawn, { stroke: colors.text, strokeOpacity: 0.55, strokeDasharray: "2 3" }),
      Plot.ruleY([0], { stroke: colors.faint }),
    ],
  });
}

/** Draws how often each code is used, and marks unused codes. */
export function codeUsageChart(
  usage: readonly { readonly code: number; readonly share: number }[],
  name: string,
  width: number,
): string {
  return draw({
    width,
    height: 130,
    marginLeft: 46,
    marginRight: 8,
    marginBottom: 34,
    marginTop: 8,
    ariaLabel: `Codes of ${name}`,
    x: {
      type: "band",
      label: "code",
      ...belowMiddle,
      padding: 0.1,
      tickFormat: everyFew(usage.length, width),
    },
    y: { label: null, ticks: 3, percent: true, grid: true },
    marks: [
      Plot.barY(usage, { x: "code", y: "share", fill: colors.accent }),
      Plot.dot(
        usage.filter((item) => item.share === 0),
        { x: "code", y: 0, symbol: "times", stroke: colors.bad, r: 3, dy: -5 },
      ),
      Plot.ruleY([0], { stroke: colors.faint }),
    ],
  });
}

/** Returns a tick format that names only as many codes as fit without overlap. */
function everyFew(count: number, width: number): (code: number) => string {
  const step = 2 ** Math.max(0, Math.ceil(Math.log2((count * 26) / width)));
  return (code) => (code % step === 0 ? String(code) : "");
}
