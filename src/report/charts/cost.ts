/** The chart of accuracy against bit operations or size, with its Pareto front. */
import * as Plot from "@observablehq/plot";
import type { Reference } from "../../study/result/accuracy-map.ts";
import type { CostKind, CostPoint } from "../../study/result/pareto.ts";
import { bitsName } from "../../study/result/summary.ts";
import { siNumber } from "../pages/format.ts";
import { belowMiddle, colors, draw, legend, seriesColor } from "./draw.ts";
import { accuracyAxis, floatRule } from "./float-line.ts";

const costNames: Readonly<Record<CostKind, string>> = {
  bitOperations: "bit operations for one image",
  bytes: "size of the integer model, bytes",
};

/** Every configuration by its cost; the front is drawn as a line, and its points have names. */
export function paretoChart(
  points: readonly CostPoint[],
  front: readonly CostPoint[],
  cost: CostKind,
  reference: Reference,
  width: number,
): string {
  const recipes = [...new Set(points.map((point) => point.recipe))];
  const color = (point: CostPoint) => seriesColor(recipes.indexOf(point.recipe));
  const names = recipes.map((recipe, index) => ({ label: recipe, color: seriesColor(index) }));
  return draw(
    {
      width,
      height: 300,
      marginLeft: 46,
      marginRight: 24,
      ariaLabel: `Accuracy against ${costNames[cost]}`,
      x: {
        type: "log",
        label: costNames[cost],
        ...belowMiddle,
        tickFormat: siNumber,
        ticks: width < 500 ? 3 : 6,
        nice: false,
        insetLeft: 14,
        insetRight: 14,
      },
      y: {
        ...accuracyAxis(
          "accuracy, %",
          points.map((point) => point.accuracy),
          reference,
        ),
        insetTop: 12,
      },
      marks: [
        ...floatRule(reference),
        Plot.line(front, { x: cost, y: "accuracy", stroke: colors.faint, strokeWidth: 1.5, curve: "step-after" }),
        Plot.dot(points, {
          x: cost,
          y: "accuracy",
          fill: color,
          r: 4,
          fillOpacity: 0.75,
          title: (point: CostPoint) => `${point.recipe} ${bitsName(point)}: ${(100 * point.accuracy).toFixed(1)} %`,
        }),
        Plot.text(spacedLabels(front, cost, width), {
          x: cost,
          y: "accuracy",
          text: bitsName,
          dy: -11,
          fontSize: 11,
          fontWeight: 600,
          fill: color,
        }),
      ],
    },
    legend(names, width),
  );
}

/** The points of a front whose names do not run into each other, the dearest (and most accurate) first. */
function spacedLabels(front: readonly CostPoint[], cost: CostKind, width: number): CostPoint[] {
  const logs = front.map((point) => Math.log(point[cost]));
  const range = Math.max(...logs) - Math.min(...logs) || 1;
  const room = (46 / Math.max(100, width - 100)) * range;
  const kept: CostPoint[] = [];
  for (const point of [...front].reverse()) {
    const last = kept.at(-1);
    if (last === undefined || Math.log(last[cost]) - Math.log(point[cost]) >= room) kept.push(point);
  }
  return kept;
}
