/** A finished study as text for the terminal: its maps, the causes of failures, the fixes, the summary. */

import type { FixStep } from "../../../diagnose/remedy/search.ts";
import type { Ablation, AblationResult } from "../../../runs/ablation.ts";
import { sufficientChanges } from "../../../study/plan/cells.ts";
import type { TrialRecord } from "../../../study/plan/record.ts";
import { fixedName } from "../../../study/plan/trial-names.ts";
import { failingTrialOf } from "../../../study/repair/failing-trial.ts";
import { failedSentence } from "../../../study/repair/fix/failed-causes.ts";
import type { Fix } from "../../../study/repair/fix/fix.ts";
import type { AccuracyMap, MapCell } from "../../../study/result/accuracy-map.ts";
import { bitsName, percent } from "../../../study/result/summary.ts";
import type { FinishedStudy } from "../../../study/run-study.ts";
import { showMetric } from "../../../train/loop/metric-text.ts";
import { tableLines } from "../../view/table.ts";

/** Smallest gain without one layer's quantizers that is shown. */
const worthTelling = 0.02;

/** Findings that are shown of a trial; the report, `--json` and `--verbose` show all. */
const mostFindings = 4;

/** Width and detail of a printed study. */
export interface StudyTextOptions {
  /** Columns of the terminal. */
  readonly columns: number | undefined;
  /** Every finding of a failing trial. */
  readonly verbose: boolean;
}

/** Returns each recipe's map, the causes of its failures, its fixes and the map with them. */
export function studyText(
  { config, result, records }: FinishedStudy,
  { columns, verbose }: StudyTextOptions,
): string[] {
  const { reference, fixes } = result;
  const map = (recipe: string) =>
    result.maps.filter((found) => found.recipe === recipe).flatMap((found) => mapTable(found, columns));
  const parts = config.recipes.flatMap(({ name }) => {
    const fix = fixes.find(({ recipe }) => recipe === name);
    const failing = records.find(({ id }) => id === fix?.trial) ?? failingTrialOf(records, name, reference, config.fix);
    return [
      ...map(name),
      ...(failing === undefined ? [] : whyText(failing, verbose ? Number.POSITIVE_INFINITY : mostFindings)),
      ...(fix === undefined ? [] : fixText(fix)),
      ...map(fixedName(name)),
    ];
  });
  return [...parts, ...result.summary];
}

/** Returns the causes of a trial's failure, the most certain first. */
export function whyText(failing: TrialRecord, most: number): string[] {
  const { findings, recipe, accuracy, ablation } = failing;
  if (findings.length === 0) return [];
  const shown = findings.slice(0, most).map(({ title, confidence, layers }, index) => {
    const where =
      layers.length === 0
        ? ""
        : `, ${layers.slice(0, 2).join(", ")}${layers.length > 2 ? ` and ${layers.length - 2} more` : ""}`;
    return `  ${index + 1}. ${title} (confidence ${Math.round(100 * confidence)} %${where})`;
  });
  const head = `Why ${recipe} ${bitsName(failing)} has ${accuracy === null ? "no result" : percent(accuracy)}:`;
  return [head, ...shown, ...(ablation === null ? [] : [`  ${ablationText(ablation)}`])];
}

/** The accuracy of the same weights with some of the quantizers. */
function ablationText({ metric, float, quantized, weightsOnly, activationsOnly, layers }: Ablation): string {
  const show = ({ accuracy }: AblationResult) => showMetric(metric, accuracy);
  const [worst] = [...layers].sort((a, b) => b.without.accuracy - a.without.accuracy);
  const helps = worst !== undefined && worst.without.accuracy >= quantized.accuracy + worthTelling;
  const layer = helps ? `; all but ${worst.layer} ${show(worst.without)}` : "";
  return `Without quantizers ${show(float)}; weights only ${show(weightsOnly)}; activations only ${show(activationsOnly)}${layer}`;
}

/** Returns the remedies in the order in which they were tried. */
export function fixText(fix: Fix): string[] {
  const goal = `goal ${percent(fix.goal)}`;
  const failed = failedSentence(fix);
  const changes = Object.entries(sufficientChanges(fix)).map(([key, value]) => `${key}=${value}`);
  return [
    `Fixes for ${fix.recipe} ${bitsName(fix)}, ${goal}:`,
    ...fix.steps.map((step) => `  ${stepText(step)}`),
    ...(changes.length === 0 ? [] : [`  The smallest sufficient set of changes: ${changes.join(", ")}`]),
    ...(failed === undefined ? [] : [`  ${failed}`]),
  ];
}

/** Returns one remedy with its effect. */
export function stepText(step: FixStep): string {
  const { title, before, after, reason } = step;
  if (after === null) return `${title}: ${reason}`;
  return `${title}: ${percent(before)} → ${percent(after)}, ${verdictOf(step)}`;
}

function verdictOf({ kept, redundant, subsumedBy }: FixStep): string {
  if (kept) return "kept";
  if (subsumedBy !== null) return `helps, subsumed by: ${subsumedBy}`;
  return redundant ? "helps, but is redundant" : "no help";
}

function mapTable(map: AccuracyMap, width: number | undefined): string[] {
  const columns = [map.recipe, ...map.activationBits.map((bits) => ({ title: `A${bits}`, align: "right" as const }))];
  const rows = map.rows.map((row, index) => [`W${map.weightBits[index]}`, ...row.map(cellText)]);
  return tableLines(columns, rows, width);
}

/** `59.2 (8)`: the accuracy, and the effective levels of the activations. */
function cellText(cell: MapCell): string {
  if (cell.mean === null) return cell.missing[0]?.status ?? bitsName(cell);
  const spread = cell.spread === null ? "" : ` ±${(100 * cell.spread).toFixed(1)}`;
  const levels = cell.levels.activations === null ? "" : ` (${cell.levels.activations})`;
  return `${(100 * cell.mean).toFixed(1)}${spread}${levels}`;
}
