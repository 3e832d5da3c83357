/** The figures of a study's report. */

import type { TrialRecord } from "../../../study/plan/record.ts";
import type { Fix } from "../../../study/repair/fix/fix.ts";
import type { AccuracyMap } from "../../../study/result/accuracy-map.ts";
import { costPoints } from "../../../study/result/pareto.ts";
import type { LoadedStudy } from "../../../study/result/read-study.ts";
import { bitsName } from "../../../study/result/summary.ts";
import { type AccuracyChange, changeChart } from "../../charts/change.ts";
import { paretoChart } from "../../charts/cost.ts";
import { colors, seriesColor } from "../../charts/draw.ts";
import { layersChart } from "../../charts/layers.ts";
import { bitWorthChart, interactionChart, mapChart } from "../../charts/map.ts";
import { type Curve, learningCurves, thinned, trajectoryChart } from "../../charts/run.ts";
import type { Figure } from "../page.ts";

/** The map of a recipe, and its two axes against each other. */
export function mapFigures({ result }: LoadedStudy, map: AccuracyMap): Figure[] {
  const { reference } = result;
  return [
    {
      name: `map-${map.recipe}`,
      title: `${map.recipe}: test accuracy, %`,
      caption:
        "Mean over the finished trials of a cell, ± the standard deviation over seeds. Under the bits: the effective levels.",
      draw: (width) => mapChart(map, reference, width),
      data: map,
    },
    {
      name: `interaction-${map.recipe}`,
      title: `${map.recipe}: do weight and activation bits interact?`,
      caption: "Lines on top of each other: weight bits do not matter. Parallel lines: no interaction.",
      draw: (width) => interactionChart(map, reference, width),
      data: map.rows
        .flat()
        .map(({ weightBits, activationBits, mean, spread }) => ({ weightBits, activationBits, mean, spread })),
    },
  ];
}

/** The value of a weight bit and of an activation bit. */
export function worthFigures({ result }: LoadedStudy): Figure[] {
  return result.effects.flatMap(({ recipe, weightBits, activationBits }) => {
    const figure = (axis: "weight" | "activation", other: string, values: typeof weightBits): Figure => ({
      name: `${axis}-bit-${recipe}`,
      title: `${recipe}: what ${axis === "weight" ? "a" : "an"} ${axis} bit is worth`,
      caption: `Points of accuracy lost per ${axis} bit removed, for each number of ${other} bits.`,
      draw: (width) => bitWorthChart(values, axis, width),
      data: values,
    });
    return [
      ...(activationBits.length === 0 ? [] : [figure("activation", "weight", activationBits)]),
      ...(weightBits.length === 0 ? [] : [figure("weight", "activation", weightBits)]),
    ];
  });
}

/** Accuracy against both costs. */
export function costFigures({ result }: LoadedStudy): Figure[] {
  const points = costPoints(result.maps);
  if (points.length === 0) return [];
  const figure = (cost: "bitOperations" | "bytes", title: string): Figure => ({
    name: cost === "bytes" ? "pareto-size" : "pareto-bit-operations",
    title,
    caption: "Pareto front: nothing cheaper is as accurate.",
    draw: (width) => paretoChart(points, result.front[cost], cost, result.reference, width),
    data: { points, front: result.front[cost] },
  });
  return [
    figure("bitOperations", "Accuracy against bit operations"),
    figure("bytes", "Accuracy against the size of the model"),
  ];
}

/** How the trials of each recipe learned. */
export function curveFigures({ result, records }: LoadedStudy): Figure[] {
  return result.maps.flatMap((map) => {
    const trials = records.filter((record) => record.recipe === map.recipe && record.epochs.length > 0);
    // Points at a single epoch are no curves: the map has them already.
    if (trials.every(({ epochs }) => epochs.length < 2)) return [];
    const color = (record: TrialRecord) => seriesColor(map.activationBits.indexOf(record.activationBits));
    const curves = trials.map(
      (record): Curve => ({
        label: record.id,
        color: color(record),
        points: record.epochs.map(({ epoch, testAccuracy }) => ({ x: epoch, y: testAccuracy })),
        stopped: record.status === "stopped",
      }),
    );
    const groups = map.activationBits.map((bits, index) => ({ label: `A${bits}`, color: seriesColor(index) }));
    return [
      {
        name: `curves-${map.recipe}`,
        title: `${map.recipe}: test accuracy while training`,
        caption:
          "One line for each trial, coloured by its activation bits; a cross marks a trial that was stopped early.",
        draw: (width: number) => learningCurves(curves, groups, result.reference, width),
        data: trials.map(({ id, epochs }) => ({ id, epochs })),
      },
    ];
  });
}

/** A trial's training loss, step by step. */
export type LossCurve = Curve["points"];

/** Points of one line: with all the others of a recipe's trials there is no room for more. */
const mostLossPoints = 48;

/** The training loss of each recipe's trials: they may be too short for a curve over epochs. */
export function lossFigures({ result, records }: LoadedStudy, losses: ReadonlyMap<string, LossCurve>): Figure[] {
  return result.maps.flatMap((map) => {
    const curves = records.flatMap((record): Curve[] => {
      const points = record.recipe === map.recipe ? (losses.get(record.id) ?? []) : [];
      if (points.length < 2) return [];
      const color = seriesColor(map.activationBits.indexOf(record.activationBits));
      return [{ label: record.id, color, points: thinned(points, mostLossPoints) }];
    });
    if (curves.length === 0) return [];
    const groups = map.activationBits.map((bits, index) => ({ label: `A${bits}`, color: seriesColor(index) }));
    return [
      {
        name: `loss-${map.recipe}`,
        title: `${map.recipe}: training loss`,
        caption: "One line for each trial, coloured by its activation bits; means over neighbouring steps.",
        draw: (width: number) => trajectoryChart(curves, "loss", width, { groups }),
        data: curves.map(({ label, points }) => ({ id: label, points })),
      },
    ];
  });
}

/** The first recipe against each later one, cell by cell. */
export function changeFigures({ result }: LoadedStudy): Figure[] {
  const [first, ...others] = result.maps;
  if (first === undefined) return [];
  const name = (recipe: string) => `${first.recipe}-to-${recipe}`;
  return others.map((map) => {
    const changes = map.rows.flat().map((cell): AccuracyChange => {
      const before = first.rows
        .flat()
        .find((other) => other.weightBits === cell.weightBits && other.activationBits === cell.activationBits);
      return { label: bitsName(cell), before: before?.mean ?? null, after: cell.mean };
    });
    return {
      name: `change-${name(map.recipe)}`,
      title: `${first.recipe} and ${map.recipe}, cell by cell`,
      caption: "The same bits, data, epochs and float start. The dashed line is the float network.",
      draw: (width) => changeChart(changes, { before: first.recipe, after: map.recipe }, result.reference.float, width),
      data: changes,
    };
  });
}

/** The steps of a fix. */
export function fixFigure(fix: Fix, float: number | null): Figure {
  const changes = fix.steps.map(({ title, before, after }): AccuracyChange => ({ label: title, before, after }));
  return {
    name: `fix-${fix.recipe}`,
    title: `Fixes for ${fix.recipe} ${bitsName(fix)}, remedy by remedy`,
    caption: "Each remedy is applied on top of those kept before it.",
    draw: (width) => changeChart(changes, { before: "without", after: "with" }, float, width),
    data: fix,
  };
}

/** The cost of each layer of a trial. */
export function layersFigure(record: TrialRecord): Figure {
  return {
    name: "layers",
    title: `Bit operations of each layer of ${record.recipe} ${bitsName(record)}`,
    caption: "Bits of weights × bits of activations at the end of each bar; 8-bit layers in the other colour.",
    draw: (width) => layersChart(record.layers, width),
    data: record.layers,
  };
}

/** The float training. */
export function floatFigure({ result }: LoadedStudy): Figure[] {
  const { float, reference } = result;
  if (float === null || float.epochs.length === 0) return [];
  const curve: Curve = {
    label: "float",
    color: colors.accent,
    points: float.epochs.map(({ epoch, testAccuracy }) => ({ x: epoch, y: testAccuracy })),
  };
  return [
    {
      name: "curves-float",
      title: "float: test accuracy while training",
      caption: "The network that every trial starts from.",
      draw: (width) => learningCurves([curve], [curve], reference, width),
      data: float.epochs,
    },
  ];
}
