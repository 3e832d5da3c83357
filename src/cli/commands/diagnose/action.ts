/** What `subbyte diagnose` does. */

import { shortfallOf } from "../../../diagnose/confidence/expectation.ts";
import { diagnoseRun, type RunDiagnosis } from "../../../diagnose/diagnose-run.ts";
import { keepDiagnosis } from "../../../diagnose/keep-findings.ts";
import { recordForFile } from "../../../diagnose/probe/measurement.ts";
import type { RunFix } from "../../../diagnose/remedy/fix-run.ts";
import type { CheckedFindings } from "../../../diagnose/remedy/verdict.ts";
import { ConfigError, InputOutputError } from "../../../errors.ts";
import type { Ablation } from "../../../runs/ablation.ts";
import { withCommands } from "../../../runs/remedy-command.ts";
import { nodeEngine } from "../../../runtime/node/node.ts";
import { metricTitle, showMetric } from "../../../train/loop/metric-text.ts";
import { note, outputColumns, print, printJson, printNotesOn, StatusLine } from "../../output.ts";
import { checkedText, findingsText } from "../../view/findings-text.ts";
import { expectationText, gapText } from "../../view/gap-text.ts";
import { shownPath } from "../../view/shown-path.ts";
import { tableLines } from "../../view/table.ts";
import type { DiagnoseFlags } from "./diagnose.ts";
import { commandOfFix, fixFindings, verifyFindings } from "./try-remedies.ts";

/** Diagnoses a run, prints the findings, and keeps them in the run's folder. */
export async function diagnoseAction(folder: string, flags: DiagnoseFlags): Promise<void> {
  const status = new StatusLine();
  const silent = flags.json === true || flags.quiet === true || !status.isTerminal;
  const found = await diagnoseRun(folder, {
    engine: nodeEngine({ threads: flags.threads }),
    checkpoint: flags.checkpoint,
    ablate: flags.ablate === true,
    ablationSamples: flags.limit,
    ...(flags.from === undefined ? {} : { floatRun: flags.from }),
    onProgress: (done, total) => {
      if (!silent) status.show(`ablation ${done} of ${total}`);
    },
  }).finally(() => status.clear());
  printNotesOn(found.notes, flags);
  const run = { folder, from: found.input.facts.settings?.from, show: shownPath };
  const first = { ...found, findings: withCommands(found.findings, run) };
  const trying = { json: flags.json === true, quiet: flags.quiet === true };
  const checks = flags.verify === true ? await verifyFindings(first, trying) : undefined;
  const diagnosis = { ...first, ...(checks === undefined ? {} : { findings: checks.findings }) };
  if (flags.json !== true) show(diagnosis, flags);
  await keepDiagnosis(diagnosis).catch(noteUnsaved);
  const fix = flags.fix === true ? await fixFindings(diagnosis, trying) : undefined;
  if (flags.json === true) showJson(diagnosis, folder, { checks, fix });
}

/** What the trainings of remedies came to. */
interface Tried {
  readonly checks: CheckedFindings | undefined;
  readonly fix: RunFix | undefined;
}

/** The findings are worth having where the run's folder is read-only, or another process writes it. */
function noteUnsaved(error: unknown): void {
  if (!(error instanceof InputOutputError || error instanceof ConfigError)) throw error;
  note(`note: the findings were not saved: ${error.where === undefined ? "" : `${error.where}: `}${error.message}`);
}

function showJson(diagnosis: RunDiagnosis, folder: string, { checks, fix }: Tried): void {
  const { findings, records, step, ablation, gap, notes, input } = diagnosis;
  printJson({
    schemaVersion: 1,
    run: folder,
    step,
    notes,
    findings,
    ablation: ablation ?? null,
    gap: gap ?? null,
    expectation: shortfallOf(input) ?? null,
    ...(checks === undefined
      ? {}
      : {
          verified: checks.checks.map(({ finding, check, verdict }) => ({ cause: finding.cause, ...check, verdict })),
        }),
    ...(fix === undefined ? {} : { fix: { ...fix, command: commandOfFix(fix, diagnosis) ?? null } }),
    records: records.map(recordForFile),
  });
}

function show(diagnosis: RunDiagnosis, flags: DiagnoseFlags): void {
  const { findings, records, ablation, input } = diagnosis;
  const expectation = expectationText(input);
  // What an ablation says is said next to the expectation; without either there is nothing to compare with.
  const verdict = ablation === undefined && expectation !== undefined ? undefined : gapText(diagnosis);
  if (expectation !== undefined) print(expectation);
  if (findings.length > 0 || verdict === undefined) {
    print(...findingsText(findings, { verbose: flags.verbose === true, records, input }));
  } else {
    print(checkedText(records));
  }
  if (verdict !== undefined) print(verdict);
  if (ablation !== undefined) print(...ablationTable(ablation));
  if (records.length === 1) {
    print("The run was not measured while it trained, so findings that need several steps are missing.");
  }
}

function ablationTable(ablation: Ablation): string[] {
  const { metric } = ablation;
  const cells = ({ loss, accuracy }: Ablation["float"]) => [loss.toFixed(4), showMetric(metric, accuracy)];
  const rows = [
    ["none", ...cells(ablation.float)],
    ["weights only", ...cells(ablation.weightsOnly)],
    ["activations only", ...cells(ablation.activationsOnly)],
    ["all", ...cells(ablation.quantized)],
    ...ablation.layers.flatMap(({ layer, alone, without }) => [
      [`only ${layer}`, ...cells(alone)],
      [`all but ${layer}`, ...cells(without)],
    ]),
  ];
  return tableLines(["quantizers enabled", "test loss", `test ${metricTitle(metric)}`], rows, outputColumns());
}
