/** Findings as text for the terminal. */
import { type Finding, highConfidence } from "../../runs/finding.ts";

export interface FindingsTextOptions {
  /** With the measurements for and against each. */
  readonly verbose: boolean;
}

/** One paragraph for each finding, most certain first, without a line break at the end. */
export function findingsText(findings: readonly Finding[], { verbose }: FindingsTextOptions): string {
  if (findings.length === 0) return "Nothing was found that speaks against this run.";
  const sure = findings.filter(({ confidence }) => confidence >= highConfidence).length;
  const head = `${count(findings.length, "finding")}, ${sure} of high confidence`;
  return [head, ...findings.map((finding, index) => paragraph(finding, index + 1, verbose))].join("\n");
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function paragraph({ title, confidence, evidence, remedy }: Finding, number: number, verbose: boolean): string {
  const lines = [`${number}. ${title} (${Math.round(100 * confidence)} %)`];
  if (remedy !== null) {
    const changes = Object.entries(remedy.changes).map(([key, value]) => `--set ${key}=${value}`);
    lines.push(`   Cure: ${remedy.title}${changes.length === 0 ? "" : `: ${changes.join(" ")}`}`);
  }
  if (!verbose) return lines.join("\n");
  for (const { measurement, layer, value, threshold, supports } of evidence) {
    const where = layer === undefined ? "" : ` of ${layer}`;
    const against = threshold === undefined ? "" : `, threshold ${threshold}`;
    lines.push(`   ${supports ? "+" : "-"} ${measurement}${where}: ${shortNumber(value)}${against}`);
  }
  return lines.join("\n");
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}
