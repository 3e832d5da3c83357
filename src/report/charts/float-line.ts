/** The float network's accuracy in a chart of accuracies: its line, and a range of the axis that shows it. */
import * as Plot from "@observablehq/plot";
import { colors } from "./draw.ts";

/** The float network's accuracy, 0 to 1; null where there is none. */
export interface FloatReference {
  readonly float: number | null;
}

/** A domain for accuracies in percent that keeps float in sight and does not magnify noise. */
function roomyDomain(values: readonly number[], { float }: FloatReference): [number, number] {
  const all = [...values, ...(float === null ? [] : [float])].map((value) => 100 * value);
  const [low, high] = all.length === 0 ? [0, 100] : [Math.min(...all), Math.max(...all)];
  const room = Math.max(1, 0.06 * (high - low));
  return [Math.max(0, low - room), Math.min(100, high + room)];
}

/** The vertical axis of accuracies, in percent. */
export function accuracyAxis(label: string, values: readonly number[], reference: FloatReference): Plot.ScaleOptions {
  const transform = (value: number) => 100 * value;
  return { label, labelArrow: "none", grid: true, ticks: 5, transform, domain: roomyDomain(values, reference) };
}

/** A dashed line at the float network's accuracy. */
export function floatRule({ float }: FloatReference): Plot.Markish[] {
  if (float === null) return [];
  return [
    Plot.ruleY([float], { stroke: colors.faint, strokeDasharray: "5 4" }),
    Plot.text([float], {
      y: (value: number) => value,
      frameAnchor: "right",
      textAnchor: "end",
      dy: -7,
      text: () => "float",
      fill: colors.faint,
    }),
  ];
}
