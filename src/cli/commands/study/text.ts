/** A finished study as text for the terminal: its maps, what went wrong and why, the cure, the answer. */
import type { Ablation, AblationResult } from "../../../runs/ablation.ts";
import { curedName, sufficientChanges } from "../../../study/plan/cells.ts";
import type { TrialRecord } from "../../../study/plan/record.ts";
import { patientOf } from "../../../study/repair/failing-trial.ts";
import type { Cure, CureStep } from "../../../study/repair/fix.ts";
import type { AccuracyMap, MapCell } from "../../../study/result/accuracy-map.ts";
import { bitsName, percent } from "../../../study/result/summary.ts";
import type { FinishedStudy } from "../../../study/run-study.ts";
import { showMetric } from "../../../train/loop/metric-text.ts";
import { tableLines } from "../../view/table.ts";

/** What leaving out one layer's quantizers must gain to be told. */
const worthTelling = 0.02;

/** Findings that are told of a trial; the report and `--json` have all. */
const mostFindings = 4;

/** Width and detail of a printed study. */
export interface StudyTextOptions {
  /** Columns of the terminal. */
  readonly columns: number | undefined;
  /** Every finding of a failing trial. */
  readonly verbose: boolean;
}

/** Each recipe's map, followed by what went wrong with it, and where it was cured the cure and the map again. */
export function studyText(
  { config, result, records }: FinishedStudy,
  { columns, verbose }: StudyTextOptions,
): string[] {
  const { reference, cures } = result;
  const map = (recipe: string) =>
    result.maps.filter((found) => found.recipe === recipe).flatMap((found) => mapTable(found, columns));
  const parts = config.recipes.flatMap(({ name }) => {
    const cure = cures.find(({ recipe }) => recipe === name);
    const patient = records.find(({ id }) => id === cure?.trial) ?? patientOf(records, name, reference, config.cure);
    return [
      ...map(name),
      ...(patient === undefined ? [] : whyText(patient, verbose ? Number.POSITIVE_INFINITY : mostFindings)),
      ...(cure === undefined ? [] : cureText(cure)),
      ...map(curedName(name)),
    ];
  });
  return [...parts, ...result.answer];
}

/** The causes of a trial's fall, the most certain first. */
export function whyText(patient: TrialRecord, most: number): string[] {
  const { findings, recipe, accuracy, ablation } = patient;
  if (findings.length === 0) return [];
  const shown = findings.slice(0, most).map(({ title, confidence, layers }, index) => {
    const where =
      layers.length === 0
        ? ""
        : `, ${layers.slice(0, 2).join(", ")}${layers.length > 2 ? `, … ${layers.length} places` : ""}`;
    return `  ${index + 1}. ${title} (${Math.round(100 * confidence)} % sure${where})`;
  });
  const head = `Why ${recipe} ${bitsName(patient)} has ${accuracy === null ? "no result" : percent(accuracy)}:`;
  return [head, ...shown, ...(ablation === null ? [] : [`  ${ablationText(ablation)}`])];
}

/** The same weights with one kind of quantizers at work: which of the two it is. */
function ablationText({ metric, float, quantized, weightsOnly, activationsOnly, layers }: Ablation): string {
  const show = ({ accuracy }: AblationResult) => showMetric(metric, accuracy);
  const [worst] = [...layers].sort((a, b) => b.without.accuracy - a.without.accuracy);
  const helps = worst !== undefined && worst.without.accuracy >= quantized.accuracy + worthTelling;
  const layer = helps ? `; with all but those of ${worst.layer} ${show(worst.without)}` : "";
  return `The same weights without quantizers: ${show(float)}; with those of the weights alone ${show(weightsOnly)}, of the activations alone ${show(activationsOnly)}${layer}`;
}

/** The remedies in the order that they were tried in. */
export function cureText(cure: Cure): string[] {
  const goal = `goal ${percent(cure.goal)}`;
  const changes = Object.entries(sufficientChanges(cure)).map(([key, value]) => `${key}=${value}`);
  return [
    `The cure of ${cure.recipe} ${bitsName(cure)}, ${goal}:`,
    ...cure.steps.map((step) => `  ${stepText(step)}`),
    ...(changes.length === 0 ? [] : [`  The smallest set of changes that suffices: ${changes.join(", ")}`]),
  ];
}

/** One remedy, and what it did. */
export function stepText(step: CureStep): string {
  const { title, before, after, reason } = step;
  if (after === null) return `${title}: ${reason}`;
  return `${title}: ${percent(before)} → ${percent(after)}, ${verdictOf(step)}`;
}

function verdictOf({ kept, needless, partOf }: CureStep): string {
  if (kept) return "kept";
  if (partOf !== null) return `helps, and comes with: ${partOf}`;
  return needless ? "helps, but is not needed" : "no help";
}

function mapTable(map: AccuracyMap, width: number | undefined): string[] {
  const columns = [map.recipe, ...map.activationBits.map((bits) => ({ title: `A${bits}`, align: "right" as const }))];
  const rows = map.rows.map((row, index) => [`W${map.weightBits[index]}`, ...row.map(cellText)]);
  return tableLines(columns, rows, width);
}

/** `59.2 (8)`: the accuracy, and the levels that the activations really have. */
function cellText(cell: MapCell): string {
  if (cell.mean === null) return cell.missing[0]?.status ?? bitsName(cell);
  const spread = cell.spread === null ? "" : ` ±${(100 * cell.spread).toFixed(1)}`;
  const levels = cell.levels.activations === null ? "" : ` (${cell.levels.activations})`;
  return `${(100 * cell.mean).toFixed(1)}${spread}${levels}`;
}
