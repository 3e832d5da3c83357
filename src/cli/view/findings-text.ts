/** Findings as text for the terminal. */
import { causes } from "../../diagnose/diagnose.ts";
import type { DiagnosisInput } from "../../diagnose/input.ts";
import type { ProbeRecord } from "../../diagnose/probe/measurement.ts";
import { largestGain } from "../../diagnose/remedy/gain.ts";
import { changesAsFlags, type Finding, highConfidence } from "../../runs/finding.ts";
import { points } from "./gap-text.ts";

/** How much of the findings is printed. */
export interface FindingsTextOptions {
  /** With the measurements that support and contradict each. */
  readonly verbose: boolean;
  /** The measurements that the findings follow from. */
  readonly records: readonly ProbeRecord[];
  /** All that the findings were derived from, of a run that has ended: then weak findings say what they would gain. */
  readonly input?: DiagnosisInput;
}

/** Returns the lines of a paragraph for each finding, most certain first. */
export function findingsText(findings: readonly Finding[], { verbose, records, input }: FindingsTextOptions): string[] {
  if (records.length === 0 && findings.length === 0) return [checkedText(records)];
  if (findings.length === 0) return ["No problems found.", checkedText(records)];
  const certain = findings.filter(({ confidence }) => confidence >= highConfidence).length;
  const head = `${count(findings.length, "finding")}, ${certain} of high confidence`;
  return [head, ...findings.flatMap((finding, index) => paragraph(finding, index + 1, verbose, input))];
}

/** Returns what was checked where nothing was found. */
export function checkedText(records: readonly ProbeRecord[]): string {
  const [first] = records;
  const last = records.at(-1);
  if (first === undefined || last === undefined) return "Nothing was measured yet.";
  const tensors = [
    ...(last.weights.length === 0 ? [] : [count(last.weights.length, "weight")]),
    ...(last.sites.length === 0 ? [] : [count(last.sites.length, "quantizer")]),
  ];
  const of = tensors.length === 0 ? "" : ` of ${tensors.join(" and ")}`;
  // Some causes need several measurements.
  const checked =
    records.length === 1
      ? `the causes that one measurement shows were checked in that${of} at step ${last.step}`
      : `${Object.keys(causes).length} causes were checked in ${records.length} measurements${of}, from step ${first.step} to ${last.step}`;
  return `Nothing was found that calls for a change of the configuration: ${checked}.`;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function paragraph(finding: Finding, number: number, verbose: boolean, input: DiagnosisInput | undefined): string[] {
  const { title, confidence, evidence, remedy } = finding;
  const command = confidence >= highConfidence ? finding.command : undefined;
  const lines = [`${number}. ${title} (confidence ${Math.round(100 * confidence)} %${gainText(finding, input)})`];
  if (remedy !== null) {
    // A command stands on a line of its own, and whole: it is copied.
    const changes = command === undefined ? changesAsFlags(remedy) : [];
    lines.push(`   Fix: ${[remedy.title, ...changes].join(": ")}`);
    if (command !== undefined) lines.push(`     ${command}`);
  }
  if (!verbose) return lines;
  for (const { measurement, layer, value, threshold, supports } of evidence) {
    const where = layer === undefined ? "" : ` of ${layer}`;
    const against = threshold === undefined ? "" : `, threshold ${threshold}`;
    lines.push(`   ${supports ? "+" : "-"} ${measurement}${where}: ${shortNumber(value)}${against}`);
  }
  return lines;
}

/** What a finding that is not certain would gain, so that a run which misses little is left alone. */
function gainText(finding: Finding, input: DiagnosisInput | undefined): string {
  if (input === undefined || finding.confidence >= highConfidence) return "";
  const gain = largestGain(finding, input);
  return Number.isNaN(gain) ? "" : `, gains at most ${points(gain)}`;
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}
