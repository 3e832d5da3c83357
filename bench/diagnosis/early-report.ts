/** What the runs of a battery would have said while they trained, from the measurements that were kept. */

import { diagnose } from "../../src/diagnose/diagnose.ts";
import { type EarlyFinding, EarlyFindings } from "../../src/diagnose/early-findings.ts";
import type { DiagnosisInput } from "../../src/diagnose/input.ts";
import type { Outcome } from "../../test/diagnose/battery/run.ts";
import { isHarmful, isSound, rightCauses } from "../../test/diagnose/battery/score.ts";

/** Returns what each probe of a run adds: the diagnosis sees nothing of later ones, and no examination. */
function replayed({ examination: _later, records, epochs = [], ...known }: DiagnosisInput): EarlyFinding[] {
  const early = new EarlyFindings();
  // The last record is the probe of the checkpoint.
  return records.slice(0, -1).flatMap(({ step, epoch }, index) => {
    const before = { records: records.slice(0, index + 1), epochs: epochs.filter((each) => each.epoch <= epoch) };
    return early.at(step, diagnose({ ...known, ...before }));
  });
}

/** Prints how many healthy runs had a finding while they trained, and of the faulty ones which was reported, and when. */
export function printEarly<Each extends Outcome>(
  outcomes: readonly Each[],
  inputOf: (outcome: Each) => DiagnosisInput | undefined,
): void {
  const counts = { healthy: 0, accused: 0, withdrawn: 0, faulty: 0, right: 0, other: 0 };
  for (const outcome of outcomes.filter((each) => isSound(each))) {
    const input = inputOf(outcome);
    if (input === undefined) continue;
    const early = replayed(input);
    const taken = new Set(early.flatMap(({ kind, finding }) => (kind === "withdrawn" ? [finding.cause] : [])));
    const held = early.filter(({ kind, finding }) => kind === "found" && !taken.has(finding.cause));
    const isRight = held.some(({ finding }) => rightCauses(outcome).includes(finding.cause));
    if (isHarmful(outcome)) {
      counts.faulty++;
      if (isRight) counts.right++;
      else if (held.length > 0) counts.other++;
    } else {
      counts.healthy++;
      if (held.length > 0) counts.accused++;
      else if (taken.size > 0) counts.withdrawn++;
    }
    if (early.length === 0 || (isHarmful(outcome) && isRight)) continue;
    const told = early.map(({ kind, step, finding }) => `${kind === "found" ? "" : "not "}${finding.cause} (${step})`);
    console.log(
      `${outcome.id} ${outcome.base} [${outcome.kind ?? "healthy"}${isHarmful(outcome) ? "" : ", harmless"}] ${told.join(", ")}`,
    );
  }
  console.log(
    `healthy: ${counts.healthy}, of them ${counts.accused} with a finding that stayed, ${counts.withdrawn} with one that was taken back\n` +
      `faulty: ${counts.faulty}, of them ${counts.right} with the right cause, ${counts.other} with another one alone`,
  );
}
