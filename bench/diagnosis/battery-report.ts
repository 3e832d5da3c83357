/** The tables of the battery, as they stand in docs/diagnosis-tests.md. */

import { seriesColor } from "../../src/report/charts/draw.ts";
import type { Share } from "../../test/diagnose/battery/reliability.ts";
import type { Outcome } from "../../test/diagnose/battery/run.ts";
import { isHarmful, isMiss, isSound, rightCauses, type Score, scoreOf } from "../../test/diagnose/battery/score.ts";
import { reliabilityDiagram } from "./reliability-diagram.ts";
import { afterCheck } from "./verified.ts";

function percent({ count, of, low, high }: Share): string {
  if (of === 0) return "–";
  return `${((100 * count) / of).toFixed(0)} % (${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)}; ${count}/${of})`;
}

const head =
  "| | first | first or second | wrong accusation | healthy accused | first remedy helps |\n|---|---|---|---|---|---|";

function row(name: string, { first, firstOrSecond, wrong, accused, remedyHelps }: Score): string {
  return `| ${[name, ...[first, firstOrSecond, wrong, accused, remedyHelps].map(percent)].join(" | ")} |`;
}

/** Prints the scores as a whole, per kind and per network, the reliability of the confidence, and what is wrong. */
export function printReport(outcomes: readonly Outcome[], { all = false }: { readonly all?: boolean }): void {
  const good = outcomes.filter(isSound);
  const total = scoreOf(good);
  console.log(
    `${good.length} runs, ${good.filter(isHarmful).length} with a harmful fault, ${outcomes.length - good.length} not counted (refused, or far from float without a fault)\n`,
  );
  console.log(head);
  console.log(row("all", total));
  for (const name of unique(good.map(({ base }) => base)))
    console.log(row(name, scoreOf(good.filter(({ base }) => base === name))));
  for (const name of unique(good.flatMap(({ kind }) => kind ?? [])))
    console.log(row(name, scoreOf(good.filter(({ kind }) => kind === name))));
  printBins(total);
  printCheck(good);
  console.log("\nMissed, wrongly accused, or accused though healthy:\n");
  for (const outcome of good) {
    const isFault = isHarmful(outcome);
    if (!isMiss(outcome) && !all) continue;
    const { id, base, preset, bits, kind, severity, float, reference, accuracy, findings } = outcome;
    const points = [float, reference, accuracy].map((value) => (100 * value).toFixed(1)).join(" ");
    const told = findings
      .slice(0, 4)
      .map(
        ({ cause, confidence }) =>
          `${rightCauses(outcome).includes(cause) ? "*" : ""}${cause} ${confidence.toFixed(2)}`,
      );
    const after = (outcome.verified?.findings ?? [])
      .slice(0, 2)
      .map(({ cause, confidence }) => `${cause} ${confidence.toFixed(2)}`);
    console.log(
      `${id} ${base} ${preset} ${bits} [${kind ?? "healthy"} ${severity}${isFault ? "" : ", harmless"}] ${points} → ${told.join(", ") || "none"}${after.length === 0 ? "" : `; checked: ${after.join(", ")}`}`,
    );
  }
}

/** Tenths of confidence; one with fewer than 5 findings is merged with its neighbour. */
function printBins({ calibrationError, bins }: Score): void {
  console.log(
    `\nExpected calibration error ${calibrationError.toFixed(3)} (over these bins, weighted by the number of findings)\n`,
  );
  console.log("| confidence | mean | true |\n|---|---|---|");
  for (const { from, to, confidence, right } of bins)
    console.log(`| ${from.toFixed(1)}–${to.toFixed(1)} | ${confidence.toFixed(2)} | ${percent(right)} |`);
}

/** The same scores before and after the counterfactual check, over the runs that were checked, and over all of their battery. */
function printCheck(good: readonly Outcome[]): void {
  const asked = good.filter(({ verified }) => verified !== undefined);
  const checked = asked.filter(({ verified }) => verified !== null);
  if (checked.length === 0) return;
  console.log(`\nCounterfactual check: ${checked.length} of ${asked.length} runs have something to check\n\n${head}`);
  for (const [name, runs] of [
    ["checked", checked],
    ["all", asked],
  ] as const) {
    console.log(row(`${name}, before the check`, scoreOf(runs)));
    console.log(row(`${name}, after it`, scoreOf(afterCheck(runs))));
  }
  console.log("\nChecked, before:");
  printBins(scoreOf(checked));
  console.log("\nChecked, after:");
  printBins(scoreOf(afterCheck(checked)));
}

/** The reliability diagram: of all runs, or of those of a battery with the counterfactual check, before and after it. */
export function diagramOf(outcomes: readonly Outcome[]): string {
  const asked = outcomes.filter(({ verified }) => verified !== undefined);
  if (asked.length === 0) return reliabilityDiagram([seriesOf("findings", outcomes, 0)]);
  return reliabilityDiagram([seriesOf("before the check", asked, 1), seriesOf("after it", afterCheck(asked), 0)]);
}

function seriesOf(name: string, outcomes: readonly Outcome[], color: number) {
  const { bins } = scoreOf(outcomes);
  const findings = bins.reduce((sum, { right }) => sum + right.of, 0);
  return { label: `${name} (${findings})`, color: seriesColor(color), bins };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
