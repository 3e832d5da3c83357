/** The chart of before and after: what another recipe, or a fix, made of each configuration. */
import * as Plot from "@observablehq/plot";
import { colors, draw, legend, rowNames, seriesColor, valueAxis } from "./draw.ts";

/** One configuration, before and after. */
export interface AccuracyChange {
  readonly label: string;
  readonly before: number | null;
  readonly after: number | null;
}

/** A row for each configuration: from one accuracy to the other. */
export function changeChart(
  changes: readonly AccuracyChange[],
  names: { readonly before: string; readonly after: string },
  float: number | null,
  width: number,
): string {
  const rows = changes.flatMap(({ label, before, after }) =>
    before === null || after === null ? [] : [{ label, before: 100 * before, after: 100 * after }],
  );
  const [first, second] = [seriesColor(1), seriesColor(0)];
  const labels = rows.map((row) => row.label);
  const { rowHeight, marginLeft, axis, marks } = rowNames(labels, width);
  return draw(
    {
      width,
      height: 44 + rowHeight * rows.length,
      marginLeft,
      marginRight: 16,
      ariaLabel: `Accuracy with ${names.before} and with ${names.after}`,
      x: valueAxis("test accuracy, %", width),
      y: axis,
      marks: [
        ...(float === null ? [] : [Plot.ruleX([100 * float], { stroke: colors.faint, strokeDasharray: "5 4" })]),
        Plot.ruleY(rows, { y: "label", x1: "before", x2: "after", stroke: colors.line, strokeWidth: 4 }),
        Plot.dot(rows, { x: "before", y: "label", fill: first, r: 4.5 }),
        Plot.dot(rows, { x: "after", y: "label", fill: second, r: 4.5 }),
        ...marks,
      ],
    },
    legend(
      [
        { label: names.before, color: first },
        { label: names.after, color: second },
      ],
      width,
    ),
  );
}
