/** The hardest misses of the battery, with their evidence, as they stand in docs/diagnosis-tests.md. */

import { diagnose } from "../../src/diagnose/diagnose.ts";
import type { DiagnosisInput } from "../../src/diagnose/input.ts";
import type { Evidence, Finding } from "../../src/runs/finding.ts";
import type { Outcome } from "../../test/diagnose/battery/run.ts";
import { isMiss, isSound, rightCauses, wrongConfidence } from "../../test/diagnose/battery/score.ts";

const shownFindings = 3;

/** Prints the misses whose wrong finding is the most confident, as Markdown. */
export function printMisses<Each extends Outcome>(
  outcomes: readonly Each[],
  most: number,
  inputOf: (outcome: Each) => DiagnosisInput | undefined,
): void {
  const misses = outcomes
    .filter((outcome) => isSound(outcome) && isMiss(outcome))
    .sort((a, b) => wrongConfidence(b) - wrongConfidence(a));
  const shown = misses.slice(0, most);
  console.log(`${misses.length} misses, the ${shown.length} hardest:`);
  for (const outcome of shown) {
    const input = inputOf(outcome);
    console.log(`\n${heading(outcome)}\n`);
    const findings = input === undefined ? [] : diagnose(input).slice(0, shownFindings);
    if (findings.length === 0)
      console.log(input === undefined ? "Its measurements were not kept." : "Nothing is found.");
    for (const [index, finding] of findings.entries())
      console.log(lines(finding, index, rightCauses(outcome)).join("\n"));
  }
}

/** `**101/37** resnet8, lsq W4A4, *noisy labels*, severity 2: float 86.1 %, without the fault 85.0 %, with it 60.1 %.` */
function heading({ id, base, preset, bits, kind, severity, float, reference, accuracy, diverged }: Outcome): string {
  const planted = kind === null ? "no fault" : `*${kind}*, severity ${severity}`;
  const end = diverged ? "diverged" : percent(accuracy);
  const points = kind === null ? `this run ${end}` : `without the fault ${percent(reference)}, with it ${end}`;
  return `**${id}** ${base}, ${preset} ${bits}, ${planted}: float ${percent(float)}, ${points}.`;
}

function lines({ cause, title, confidence, evidence }: Finding, index: number, right: readonly string[]): string[] {
  const truth = right.includes(cause) ? " (true)" : "";
  return [
    `${index + 1}. \`${cause}\`${truth}, confidence ${(100 * confidence).toFixed(0)} %: ${withoutFolder(title)}`,
    ...evidence.map(({ measurement, layer, value, threshold, supports }: Evidence) => {
      const where = layer === undefined ? "" : ` (${layer})`;
      const against = threshold === undefined ? "" : `, threshold ${short(threshold)}`;
      return `   - ${supports ? "supports" : "contradicts"}: ${measurement}${where} ${short(value)}${against}`;
    }),
  ];
}

/** A title that names a run, without the folder of the battery. */
function withoutFolder(title: string): string {
  return title.replaceAll(/\S*\/files-\d+\//g, "");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
