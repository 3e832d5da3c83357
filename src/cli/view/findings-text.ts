/** Findings as text for the terminal. */
import { type Finding, highConfidence } from "../../runs/finding.ts";

/** How much of the findings is printed. */
export interface FindingsTextOptions {
  /** With the measurements that support and contradict each. */
  readonly verbose: boolean;
}

/** Returns the lines of a paragraph for each finding, most certain first. */
export function findingsText(findings: readonly Finding[], { verbose }: FindingsTextOptions): string[] {
  if (findings.length === 0) return ["No problems found."];
  const certain = findings.filter(({ confidence }) => confidence >= highConfidence).length;
  const head = `${count(findings.length, "finding")}, ${certain} of high confidence`;
  return [head, ...findings.flatMap((finding, index) => paragraph(finding, index + 1, verbose))];
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function paragraph({ title, confidence, evidence, remedy }: Finding, number: number, verbose: boolean): string[] {
  const lines = [`${number}. ${title} (confidence ${Math.round(100 * confidence)} %)`];
  if (remedy !== null) {
    const changes = Object.entries(remedy.changes).map(([key, value]) => `--set ${key}=${value}`);
    lines.push(`   Fix: ${remedy.title}${changes.length === 0 ? "" : `: ${changes.join(" ")}`}`);
  }
  if (!verbose) return lines;
  for (const { measurement, layer, value, threshold, supports } of evidence) {
    const where = layer === undefined ? "" : ` of ${layer}`;
    const against = threshold === undefined ? "" : `, threshold ${threshold}`;
    lines.push(`   ${supports ? "+" : "-"} ${measurement}${where}: ${shortNumber(value)}${against}`);
  }
  return lines;
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}
