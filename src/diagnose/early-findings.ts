/** Findings that are certain before a run has ended: each is reported once, with the step, and so is a later probe that takes it back. */

import { FaultError } from "../errors.ts";
import { changesAsFlags, type Finding, highConfidence } from "../runs/finding.ts";
import { mayBeReportedEarly } from "./diagnose.ts";
import { certainEarly } from "./finding.ts";

/** A finding that a probe made certain, or one that was reported and does not hold any more. */
export interface EarlyFinding {
  readonly kind: "found" | "withdrawn";
  /** Steps done before the probe. */
  readonly step: number;
  readonly finding: Finding;
}

/** Returns the findings of a probe as lines: each with the step, and its remedy below it. */
export function earlyLines(findings: readonly EarlyFinding[]): string[] {
  return findings.flatMap(({ kind, step, finding }) => {
    if (kind === "withdrawn") return [`step ${step}: no longer so: ${finding.title}`];
    const { title, confidence, remedy } = finding;
    const head = `step ${step}: ${title} (confidence ${Math.round(100 * confidence)} %)`;
    return remedy === null ? [head] : [head, `  Fix: ${[remedy.title, ...changesAsFlags(remedy)].join(": ")}`];
  });
}

/** Returns the findings of a probe as one line, for many runs next to each other: the first, and how many more there are. */
export function earlyLine(findings: readonly EarlyFinding[]): string | undefined {
  const [first, ...others] = findings;
  if (first === undefined) return undefined;
  const [head = ""] = earlyLines([first]);
  return others.length === 0 ? head : `${head}, and ${others.length} more`;
}

/** Returns the error that stops a training at a finding. */
export function faultOf({ step, finding: { title, confidence, remedy } }: EarlyFinding): FaultError {
  const message = `stopped at step ${step}: ${title} (confidence ${Math.round(100 * confidence)} %)`;
  if (remedy === null) return new FaultError(message);
  return new FaultError(message, { remedy: `Fix: ${[remedy.title, ...changesAsFlags(remedy)].join(": ")}` });
}

/** Remembers what was reported of a run. */
export class EarlyFindings {
  readonly #reported = new Map<string, Finding>();
  readonly #withdrawn = new Set<string>();

  /** Returns what the findings of a probe add, the most certain first; each cause is reported once and withdrawn once. */
  at(step: number, findings: readonly Finding[]): EarlyFinding[] {
    const found = findings.filter(
      (finding) =>
        finding.confidence >= certainEarly && mayBeReportedEarly(finding) && !this.#reported.has(finding.cause),
    );
    const holding = new Set(findings.flatMap(({ cause, confidence }) => (confidence >= highConfidence ? [cause] : [])));
    const withdrawn = [...this.#reported.values()].filter(
      ({ cause }) => !holding.has(cause) && !this.#withdrawn.has(cause),
    );
    for (const finding of found) this.#reported.set(finding.cause, finding);
    for (const { cause } of withdrawn) this.#withdrawn.add(cause);
    return [
      ...found.map((finding) => ({ kind: "found" as const, step, finding })),
      ...withdrawn.map((finding) => ({ kind: "withdrawn" as const, step, finding })),
    ];
  }
}
