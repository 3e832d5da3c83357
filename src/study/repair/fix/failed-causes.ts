/**
 * Findings that a fix search contradicted: all remedies of a cause were trained, and none helped. The cause keeps a factor in
 * fix.json, which lowers it in the other trials of the study.
 */

import type { FixStep } from "../../../diagnose/remedy/search.ts";
import type { Finding } from "../../../runs/finding.ts";
import type { TrialRecord } from "../../plan/record.ts";
import type { Fix } from "./fix.ts";

/** A cause whose remedies all failed, and the factor of its confidence in other trials. */
export interface FailedCause {
  readonly cause: string;
  readonly factor: number;
}

/** One fix search speaks of one trial: it halves the confidence, and a second one halves it again. */
const failedFactor = 0.5;

/**
 * Returns the causes whose remedies were all trained and did not help. A remedy that failed to train, or was never tried
 * because others sufficed, proves nothing.
 *
 * @param findings Those of the failing trial.
 */
export function failedCauses(
  findings: readonly Pick<Finding, "cause" | "remedy">[],
  steps: readonly FixStep[],
): FailedCause[] {
  const results = new Map<string, boolean[]>();
  for (const { cause, remedy } of findings) {
    const step = steps.find(({ changes }) => remedy !== null && isEqual(changes, remedy.changes));
    const failed = step !== undefined && step.after !== null && !step.kept && !step.redundant;
    results.set(cause, [...(results.get(cause) ?? []), failed]);
  }
  return [...results].flatMap(([cause, all]) => (all.every(Boolean) ? [{ cause, factor: failedFactor }] : []));
}

function isEqual(a: FixStep["changes"], b: FixStep["changes"]): boolean {
  const text = (changes: FixStep["changes"]) => JSON.stringify(Object.entries(changes).sort());
  return text(a) === text(b);
}

/** Returns the factor of a cause in a trial, from the fix searches of all other trials. */
function factorIn(id: string, cause: string, fixes: readonly Fix[]): number {
  return fixes
    .filter(({ trial }) => trial !== id)
    .flatMap(({ failed = [] }) => failed)
    .reduce((product, each) => (each.cause === cause ? product * each.factor : product), 1);
}

/** Returns trials with the findings lowered whose remedies failed in the fix searches of other trials, most certain first. */
export function withFailedLowered(records: readonly TrialRecord[], fixes: readonly Fix[]): TrialRecord[] {
  return records.map((record) => ({
    ...record,
    findings: record.findings
      .map((finding) => ({ ...finding, factor: factorIn(record.id, finding.cause, fixes) }))
      .map(({ factor, ...finding }) => ({ ...finding, confidence: finding.confidence * factor }))
      .sort((a, b) => b.confidence - a.confidence),
  }));
}

/** Returns a sentence about what a fix search lowers elsewhere; undefined where that is nothing. */
export function failedSentence({ failed = [] }: Pick<Fix, "failed">): string | undefined {
  if (failed.length === 0) return undefined;
  const causes = failed.map(({ cause, factor }) => `${cause} (× ${factor})`).join(", ");
  return `Remedies that failed here lower the confidence of their findings in the other trials: ${causes}.`;
}
