/** The tables of the battery, as they stand in docs/diagnosis-tests.md. */

import type { Outcome } from "../../test/diagnose/battery/run.ts";
import {
  isHarmful,
  isSound,
  isWrong,
  placeOf,
  rightCauses,
  type Score,
  type Share,
  scoreOf,
} from "../../test/diagnose/battery/score.ts";

function percent({ count, of, low, high }: Share): string {
  if (of === 0) return "–";
  return `${((100 * count) / of).toFixed(0)} % (${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)}; ${count}/${of})`;
}

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
  console.log(
    "| | first | first or second | wrong accusation | healthy accused | first remedy helps |\n|---|---|---|---|---|---|",
  );
  console.log(row("all", total));
  for (const name of unique(good.map(({ base }) => base)))
    console.log(row(name, scoreOf(good.filter(({ base }) => base === name))));
  for (const name of unique(good.flatMap(({ kind }) => kind ?? [])))
    console.log(row(name, scoreOf(good.filter(({ kind }) => kind === name))));
  console.log(`\nCalibration error ${total.calibrationError.toFixed(3)}\n\n| confidence | right |\n|---|---|`);
  for (const { confidence, right } of total.bins) console.log(`| ${confidence.toFixed(2)} | ${percent(right)} |`);
  console.log("\nMissed, wrongly accused, or accused though healthy:\n");
  for (const outcome of good) {
    const isFault = isHarmful(outcome);
    const isBad = isFault
      ? placeOf(outcome) !== 1 || isWrong(outcome)
      : outcome.findings.some(({ confidence }) => confidence >= 0.6);
    if (!isBad && !all) continue;
    const { id, base, preset, bits, kind, severity, float, reference, accuracy, findings } = outcome;
    const points = [float, reference, accuracy].map((value) => (100 * value).toFixed(1)).join(" ");
    const told = findings
      .slice(0, 4)
      .map(
        ({ cause, confidence }) =>
          `${rightCauses(outcome).includes(cause) ? "*" : ""}${cause} ${confidence.toFixed(2)}`,
      );
    console.log(
      `${id} ${base} ${preset} ${bits} [${kind ?? "healthy"} ${severity}${isFault ? "" : ", harmless"}] ${points} → ${told.join(", ") || "none"}`,
    );
  }
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
