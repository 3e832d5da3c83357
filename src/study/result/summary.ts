/** The study's summary in words: what converged, what did not, which bits matter, and what to take. */

import { percent } from "../../base/percent.ts";
import type { Fix } from "../repair/fix/fix.ts";
import type { AccuracyMap, MapCell, Reference } from "./accuracy-map.ts";
import type { Effects } from "./effects.ts";
import { compareMeans, compareWithLimit, type SeedMean } from "./noise.ts";
import type { CostPoint } from "./pareto.ts";

export { percent } from "../../base/percent.ts";

/** The parts that the summary of a study is made of. */
export interface SummaryParts {
  readonly reference: Reference;
  readonly maps: readonly AccuracyMap[];
  readonly effects: readonly Effects[];
  /** The cheapest configuration within the tolerance, and the best one for the budget. */
  readonly cheapest: CostPoint | undefined;
  readonly forBudget: CostPoint | undefined;
  /** Every configuration that the choice is made among; those that do not fit the budget are left out. */
  readonly choices?: readonly CostPoint[];
  readonly hasBudget: boolean;
  readonly fixes?: readonly Fix[];
}

/** `W4A3` */
export function bitsName(cell: { readonly weightBits: number; readonly activationBits: number }): string {
  return `W${cell.weightBits}A${cell.activationBits}`;
}

/** Returns one sentence for each recipe, one for each fix, and one for the choice. */
export function summarySentences(parts: SummaryParts): string[] {
  const sentences = parts.maps.flatMap((map) => {
    const fix = parts.fixes?.find(({ recipe }) => recipe === map.recipe);
    return [recipeSentence(map, parts), ...(fix === undefined ? [] : [fixSentence(fix)])];
  });
  return [...sentences, choiceSentence(parts), ...seedSentences(parts)];
}

function recipeSentence(map: AccuracyMap, { reference, effects }: SummaryParts): string {
  const cells = map.rows.flat();
  const results = cells.filter((cell) => cell.mean !== null);
  if (results.length === 0) return `${map.recipe}: no trial gave a result.`;
  const of = (outcome: MapCell["outcome"]) => results.filter((cell) => cell.outcome === outcome);
  const within = `within ${points(reference.tolerance)} of float`;
  const phrases = [
    tally(of("kept"), cells.length, [`stays ${within}`, `stay ${within}`], false),
    tally(of("lost"), cells.length, ["loses more", "lose more"], true),
    tally(of("collapsed"), cells.length, ["does not converge", "do not converge"], true),
  ].filter((phrase) => phrase !== "");
  const head = reference.float === null ? extremes(results) : phrases.join(", ");
  const share = effects.find(({ recipe }) => recipe === map.recipe)?.variance?.shares;
  return `${map.recipe}: ${head}${share === null || share === undefined ? "" : `; ${decisive(share, results)}`}.`;
}

/** Returns the result of a fix search as a sentence. */
export function fixSentence(fix: Fix): string {
  const kept = fix.steps
    .filter((step) => step.kept)
    .map(({ title }) => {
      const along = fix.steps.flatMap((step) => (step.subsumedBy === title ? step.title : []));
      return along.length === 0 ? title : `${title} (includes: ${along.join(", ")})`;
    });
  const subject = `${fix.recipe} ${bitsName(fix)}`;
  if (kept.length === 0) return `No remedy helps ${subject} (${percent(fix.before)}).`;
  const verdict = fix.after >= fix.goal - 1e-9 ? "Fix for" : "Partial fix for";
  return `${verdict} ${subject}: ${kept.join("; ")}: ${percent(fix.before)} → ${percent(fix.after)} (one seed).`;
}

/** Standard error of the difference between two cells, from the mean variance over seeds; 0 where no cell has a spread. */
function noiseOf(cells: readonly MapCell[]): number {
  const errors = cells.flatMap(({ spread, count }) => (spread === null ? [] : [(2 * spread ** 2) / count]));
  return errors.length === 0 ? 0 : Math.sqrt(errors.reduce((sum, error) => sum + error, 0) / errors.length);
}

function points(tolerance: number): string {
  const value = Number((100 * tolerance).toFixed(2));
  return `${value} ${value === 1 ? "point" : "points"}`;
}

/** `3 lose more (W8A4 …)`; kept cells are not listed. */
function tally(
  cells: readonly MapCell[],
  total: number,
  [one, several]: readonly [string, string],
  listed: boolean,
): string {
  if (cells.length === 0) return "";
  const named = cells.map((cell) => `${bitsName(cell)}${effectiveLevels(cell)} ${percent(cell.mean ?? 0)}`);
  const shown = named.length > 4 ? `${named.slice(0, 3).join(", ")} and ${named.length - 3} more` : named.join(", ");
  const list = listed ? ` (${shown})` : "";
  const verb = cells.length === 1 ? one : several;
  if (cells.length === total) return `${total === 1 ? "its one cell" : `all ${total} cells`} ${verb}${list}`;
  return listed ? `${cells.length} ${verb}${list}` : `${cells.length} of ${total} cells ${verb}`;
}

/** The effective levels, where they are fewer than the requested bits have. */
function effectiveLevels({ activationBits, levels }: MapCell): string {
  const { activations } = levels;
  return activations === null || activations >= 2 ** activationBits ? "" : ` (${activations} levels)`;
}

function extremes(results: readonly MapCell[]): string {
  const sorted = [...results].sort((a, b) => (b.mean ?? 0) - (a.mean ?? 0));
  const [best, worst] = [sorted[0], sorted.at(-1)];
  if (best === undefined || worst === undefined) return "no result";
  return `from ${percent(worst.mean ?? 0)} at ${bitsName(worst)} to ${percent(best.mean ?? 0)} at ${bitsName(best)}`;
}

function decisive(
  share: { readonly weights: number; readonly activations: number; readonly interaction: number },
  results: readonly MapCell[],
): string {
  const means = results.flatMap(({ mean }) => mean ?? []);
  const range = Math.max(...means) - Math.min(...means);
  if (range < 0.02) return "the accuracy hardly depends on the bits";
  if (range <= 2 * noiseOf(results)) return "the differences between cells are within noise";
  const whole = (value: number) => `${Math.round(100 * value)} %`;
  const [more, less] =
    share.activations >= share.weights ? ["activation bits", "weight bits"] : ["weight bits", "activation bits"];
  const [high, low] = [Math.max(share.activations, share.weights), Math.min(share.activations, share.weights)];
  return `${more} explain ${whole(high)} of the differences between cells, ${less} ${whole(low)}, their interaction ${whole(share.interaction)}`;
}

function choiceSentence({ reference, maps, cheapest, forBudget, hasBudget }: SummaryParts): string {
  const cells = maps.flatMap(({ rows }) => rows.flat());
  if (cells.length > 0 && cells.every(({ mean }) => mean === null)) return "No trial has finished.";
  if (hasBudget) {
    if (forBudget === undefined) return "No configuration of the grid fits the budget.";
    return `Best within the budget: ${pointName(forBudget)} with ${accuracyText(forBudget)}.`;
  }
  if (cheapest === undefined) {
    if (reference.float === null) return "No trial has finished.";
    return `No configuration of the grid is within ${points(reference.tolerance)} of float (${percent(reference.float)}).`;
  }
  const float = reference.float === null ? "" : ` (float: ${percent(reference.float)})`;
  return `Take ${pointName(cheapest)}: ${accuracyText(cheapest)}${float} at the fewest bit operations.`;
}

function pointName(point: CostPoint): string {
  return `${point.recipe} ${bitsName(point)}`;
}

/** `87.6 % ± 0.4 over 3 seeds`; of one seed the accuracy alone. */
function accuracyText({ accuracy, spread, count }: SeedMean): string {
  return spread === null
    ? percent(accuracy)
    : `${percent(accuracy)} ± ${(100 * spread).toFixed(1)} over ${count} seeds`;
}

/** What the choice leaves open: the most accurate, those that noise cannot tell from the chosen one, one seed for each cell. */
function seedSentences({ reference, cheapest, forBudget, hasBudget, choices = [] }: SummaryParts): string[] {
  const chosen = hasBudget ? forBudget : cheapest;
  if (chosen === undefined) return [];
  const others = choices.filter((point) => point !== chosen && pointName(point) !== pointName(chosen));
  const best = [...others].sort((a, b) => b.accuracy - a.accuracy)[0];
  const isBetter = best !== undefined && best.accuracy > chosen.accuracy;
  const sentences: string[] = [];
  if (isBetter)
    sentences.push(`The most accurate is ${pointName(best)} with ${accuracyText(best)}${betterBy(best, chosen)}.`);
  const alike = others.filter((point) => point.accuracy <= chosen.accuracy && compareMeans(point, chosen) === "noise");
  if (hasBudget && alike.length > 0) sentences.push(`Within noise of it: ${listOf(alike.map(pointName))}.`);
  const limit = reference.float === null ? undefined : reference.float - reference.tolerance;
  if (!hasBudget && limit !== undefined && compareWithLimit(chosen, limit) === "noise") {
    sentences.push(
      `Whether ${pointName(chosen)} is within ${points(reference.tolerance)} of float is within noise: more seeds can change the choice.`,
    );
  }
  if (chosen.spread === null) {
    sentences.push(
      "One seed for each cell: it cannot tell a small difference from the spread between seeds (--seeds 3).",
    );
  }
  return sentences;
}

function betterBy(best: CostPoint, chosen: CostPoint): string {
  const verdict = compareMeans(best, chosen);
  if (verdict === "noise") return ", a difference within noise";
  return verdict === "unknown" ? "" : `, ${points(best.accuracy - chosen.accuracy)} more`;
}

function listOf(names: readonly string[], most = 4): string {
  return names.length <= most ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}
