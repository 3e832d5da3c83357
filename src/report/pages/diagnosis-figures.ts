/**
 * The figures of a run's diagnosis: the scales over time, the activations with the largest error, and the accuracy that
 * each part of the quantizers costs.
 */

import { isQuantized } from "../../compile/sites.ts";
import type { ProbeRecord, SiteMeasurement } from "../../diagnose/probe/measurement.ts";
import type { Network } from "../../ir/network.ts";
import type { Ablation } from "../../runs/ablation.ts";
import { ablationChart } from "../charts/ablation.ts";
import { seriesColor } from "../charts/draw.ts";
import {
  type Curve,
  codeUsageChart,
  type LevelHistogram,
  levelHistogramChart,
  trajectoryChart,
} from "../charts/run.ts";
import type { Figure } from "./page.ts";

/** Number of activations to draw, those with the largest error. */
const mostActivations = 2;
/** Number of scales in one chart: one for each colour. */
const mostScales = 6;
/** Maximum number of levels that the eye can distinguish. */
const drawableLevels = 64;

/** A tensor as the last probe measured it, with the limits of its codes. */
export interface ProbedTensor {
  readonly tensor: string;
  readonly quantMin: number;
  readonly quantMax: number;
  readonly seen: SiteMeasurement;
}

/** Returns the activations of a network as a probe measured them, lowest SQNR first. */
export function probedActivations(network: Network, record: ProbeRecord): ProbedTensor[] {
  const sites = isQuantized(network) ? network.sites : [];
  return record.sites
    .flatMap((seen): ProbedTensor[] => {
      const site = sites.find(({ id }) => id === seen.name);
      if (site === undefined || seen.kind !== "activation" || !(seen.scale > 0)) return [];
      return [{ tensor: site.tensor, quantMin: site.spec.quantMin, quantMax: site.spec.quantMax, seen }];
    })
    .sort((a, b) => a.seen.sqnr - b.seen.sqnr);
}

/** Returns all figures of the records of one run. `run` is part of their names and of their titles. */
export function diagnosisFigures(
  run: { readonly name: string; readonly title: string },
  network: Network,
  records: readonly ProbeRecord[],
): Figure[] {
  const last = records.at(-1);
  if (last === undefined) return [];
  const tensors = probedActivations(network, last);
  return [
    ...scaleFigures(run, tensors, records),
    ...tensors
      .filter(({ quantMin, quantMax }) => quantMax - quantMin < drawableLevels)
      .slice(0, mostActivations)
      .flatMap((tensor) => activationFigures(run, tensor)),
  ];
}

function scaleFigures(
  run: { readonly name: string; readonly title: string },
  tensors: readonly ProbedTensor[],
  records: readonly ProbeRecord[],
): Figure[] {
  const curves = tensors.slice(0, mostScales).map(({ tensor, seen }, index): Curve => {
    const points = records.flatMap((record) => {
      const scale = record.sites.find(({ name }) => name === seen.name)?.scale;
      return scale === undefined || !(scale > 0) ? [] : [{ x: record.step, y: scale }];
    });
    return { label: tensor, color: seriesColor(index), points };
  });
  if (curves.every(({ points }) => points.length < 2)) return [];
  return [
    {
      name: `scales-${run.name}`,
      title: `${run.title}: scales of the activations while training`,
      caption: "The activations with the largest rounding error. Before the first batch a scale has its initial value.",
      draw: (width) => trajectoryChart(curves, "scale", width, { type: "log" }),
      data: curves.map(({ label, points }) => ({ tensor: label, points })),
    },
  ];
}

function activationFigures(run: { readonly name: string; readonly title: string }, probed: ProbedTensor): Figure[] {
  const { tensor, quantMin, quantMax, seen } = probed;
  const levels = quantMax - quantMin + 1;
  const histogram = activationHistogram(probed);
  const total = seen.codes.reduce((sum, count) => sum + count, 0) || 1;
  const usage = seen.codes.map((count, index) => ({ code: quantMin + index, share: count / total }));
  const noise = Number.isFinite(seen.sqnr) ? ` SQNR ${seen.sqnr.toFixed(1)} dB.` : "";
  return [
    {
      name: `values-${run.name}-${tensor}`,
      title: `${run.title}: values of ${tensor}, and the levels`,
      caption: `Dashed lines are the ${levels} levels; values beyond the outermost are in the other colour.${noise}`,
      draw: (width) => levelHistogramChart(histogram, width),
      data: histogram,
    },
    {
      name: `usage-${run.name}-${tensor}`,
      title: `${run.title}: how often ${tensor} uses each code, %`,
      caption: `${seen.distinctCodes} of ${levels} codes are used; a cross marks one that is not. ${(100 * seen.deadShare).toFixed(0)} % of the values that are not 0 become 0.`,
      draw: (width) => codeUsageChart(usage, tensor, width),
      data: usage,
    },
  ];
}

/** Converts the bins of a probe, which divide the range of the values evenly, to codes. */
function activationHistogram({ tensor, quantMin, quantMax, seen }: ProbedTensor): LevelHistogram {
  const zero = Number.isFinite(seen.zeroPoint) ? seen.zeroPoint : 0;
  const inCodes = (value: number) => value / seen.scale + zero;
  return { name: tensor, quantMin, quantMax, from: inCodes(seen.min), to: inCodes(seen.max), counts: seen.histogram };
}

/** Returns the figure of an ablation: the accuracy with parts of the quantizers. */
export function ablationFigure(name: string, title: string, ablation: Ablation): Figure {
  return {
    name: `ablation-${name}`,
    title: `${title}: with some of its quantizers`,
    caption: `Accuracy on ${ablation.samples} test samples with the same weights and re-estimated batch normalization: only this part quantized (blue) or all but this part (red). Dashed lines: no quantizers, and all of them. A part hurts most when blue is far left and red far right.`,
    draw: (width) => ablationChart(ablation, width),
    data: ablation,
  };
}
