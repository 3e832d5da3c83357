/** The counterfactual check of the battery's runs, and its scores. */

import type { RunDiagnosis } from "../../src/diagnose/diagnose-run.ts";
import { type CheckedFindings, withChecks } from "../../src/diagnose/remedy/verdict.ts";
import { verifyRun } from "../../src/diagnose/remedy/verify-run.ts";
import type { Finding } from "../../src/runs/finding.ts";
import type { Outcome, Verified } from "../../test/diagnose/battery/run.ts";

/** A first finding that is less certain is not worth a check. */
const leastConfidence = 0.2;

/** Checks a run's findings by short trainings in its folder; null where the first one is weak or has no remedy to try. */
export async function verifiedOf(diagnosis: RunDiagnosis): Promise<Verified | null> {
  const [first] = diagnosis.findings;
  if (first === undefined || first.confidence < leastConfidence || changesOf(first) === undefined) return null;
  return kept(await verifyRun(diagnosis));
}

/** The check with other findings of the same run: what was measured for a change is known. */
export function verifiedAgain(findings: readonly Finding[], verified: Verified | null | undefined): Verified | null {
  if (verified === null || verified === undefined) return null;
  const known = new Map(verified.checks.map(({ changes, check }) => [JSON.stringify(changes), check]));
  return kept(withChecks(findings, (finding) => known.get(JSON.stringify(changesOf(finding)))));
}

function changesOf({ remedy }: Pick<Finding, "remedy">) {
  const changes = remedy?.changes ?? {};
  return Object.keys(changes).length === 0 ? undefined : changes;
}

function kept({ findings, checks }: CheckedFindings): Verified {
  return {
    findings: findings.map(({ cause, confidence }) => ({ cause, confidence })),
    checks: checks.map(({ finding, check }) => ({ changes: finding.remedy?.changes ?? {}, check })),
  };
}

/** Outcomes with the findings after the check, where there was one. */
export function afterCheck(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.map((outcome) => {
    const { findings, verified } = outcome;
    const after = (verified?.findings ?? findings).flatMap(({ cause, confidence }) => {
      const before = findings.find((finding) => finding.cause === cause);
      return before === undefined ? [] : [{ ...before, confidence }];
    });
    return { ...outcome, findings: after };
  });
}
