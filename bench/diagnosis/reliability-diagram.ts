/** The reliability diagram of the battery: how many of the findings at each confidence are true. */

import * as Plot from "@observablehq/plot";
import { belowMiddle, colors, draw, legend, standalone } from "../../src/report/charts/draw.ts";
import type { Bin } from "../../test/diagnose/battery/reliability.ts";

/** The bins of some findings, in one colour. */
export interface ReliabilitySeries {
  readonly label: string;
  readonly color: string;
  readonly bins: readonly Bin[];
}

/** Readable on a phone, where a page shows it at nine tenths of its size, and square on a desktop. */
const width = 400;
const frame = 330;

/** Draws bins as an SVG that stands alone: the diagonal, Wilson intervals as whiskers, and the number of findings at each point. */
export function reliabilityDiagram(series: readonly ReliabilitySeries[]): string {
  const share = { domain: [0, 100], percent: true, ticks: 5, grid: true, labelArrow: "none" } as const;
  const diagonal = [
    { x: 0, y: 0 },
    { x: 1, y: 1 },
  ];
  // Two series have bins at the same places: the numbers of one stand below the whiskers, those of the other above.
  const isBelow = (index: number) => index === 0 && series.length > 1;
  const svg = draw(
    {
      width,
      height: frame + 40,
      marginLeft: 46,
      marginRight: 16,
      marginBottom: 40,
      ariaLabel: "Share of the findings that are true, over their confidence",
      x: { ...share, inset: 8, label: "confidence, %", ...belowMiddle },
      y: { ...share, inset: 14, label: "findings that are true, %" },
      marks: [
        Plot.line(diagonal, { x: "x", y: "y", stroke: colors.faint, strokeDasharray: "5 4" }),
        ...series.flatMap(({ bins, color }, index) => [
          Plot.ruleX(bins, {
            x: "confidence",
            y1: ({ right }: Bin) => right.low,
            y2: ({ right }: Bin) => right.high,
            stroke: color,
            strokeOpacity: 0.6,
            strokeWidth: 1.5,
          }),
          Plot.line(bins, { x: "confidence", y: shareOf, stroke: color, strokeWidth: 1.2, strokeOpacity: 0.6 }),
          Plot.dot(bins, { x: "confidence", y: shareOf, fill: color, r: 4, title: describeBin }),
          Plot.text(bins, {
            x: "confidence",
            y: ({ right }: Bin) => (isBelow(index) ? right.low : right.high),
            dy: isBelow(index) ? 8 : -8,
            text: ({ right }: Bin) => String(right.of),
            fill: color,
            stroke: "var(--paper)",
            strokeWidth: 3,
          }),
        ]),
      ],
    },
    legend(series, width),
  );
  return `${standalone(svg)}\n`;
}

function shareOf({ right }: Bin): number {
  return right.count / right.of;
}

function describeBin({ from, to, right }: Bin): string {
  return `${(100 * from).toFixed(0)} to ${(100 * to).toFixed(0)} %: ${right.count} of ${right.of} are true`;
}
