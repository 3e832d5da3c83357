/** What `subbyte diagnose` does. */

import { diagnoseRun } from "../../diagnose/diagnose-run.ts";
import { keepDiagnosis } from "../../diagnose/keep-findings.ts";
import type { Ablation } from "../../runs/ablation.ts";
import { nodeEngine } from "../../runtime/node.ts";
import { metricTitle, showMetric } from "../../train/loop/metric-text.ts";
import type { DiagnoseFlags } from "../flags.ts";
import { findingsText } from "../view/findings-text.ts";
import { formatTable } from "../view/table.ts";

/** Diagnoses a run, prints what was found, and keeps it in the run's directory. */
export async function diagnose(folder: string, flags: DiagnoseFlags): Promise<void> {
  const silent = flags.json === true || flags.quiet === true || !process.stderr.isTTY;
  const diagnosis = await diagnoseRun(folder, {
    engine: nodeEngine(flags.threads === 0 ? {} : { threads: flags.threads }),
    checkpoint: flags.checkpoint,
    ablate: flags.ablate === true,
    ablationSamples: flags.limit,
    ...(flags.from === undefined ? {} : { floatRun: flags.from }),
    onProgress: (done, total) => {
      if (!silent) process.stderr.write(`\rablation ${done} of ${total}${done === total ? "\n" : ""}`);
    },
  });
  await keepDiagnosis(diagnosis);
  const { findings, records, step, ablation } = diagnosis;
  if (flags.json === true) {
    const document = { schemaVersion: 1, run: folder, step, findings, ablation: ablation ?? null, records };
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
    return;
  }
  process.stdout.write(`${findingsText(findings, { verbose: flags.verbose === true })}\n`);
  if (ablation !== undefined) process.stdout.write(`${ablationTable(ablation)}\n`);
  if (records.length === 1) {
    process.stdout.write("The run was not watched while it trained: what only steps can tell is not known.\n");
  }
}

function ablationTable(ablation: Ablation): string {
  const { metric } = ablation;
  const cells = ({ loss, accuracy }: Ablation["float"]) => [loss.toFixed(4), showMetric(metric, accuracy)];
  const rows = [
    ["no quantizer", ...cells(ablation.float)],
    ["weights only", ...cells(ablation.weightsOnly)],
    ["activations only", ...cells(ablation.activationsOnly)],
    ["all", ...cells(ablation.quantized)],
    ...ablation.layers.flatMap(({ layer, alone, without }) => [
      [`${layer} alone`, ...cells(alone)],
      [`all but ${layer}`, ...cells(without)],
    ]),
  ];
  return formatTable(["quantizers at work", "test loss", `test ${metricTitle(metric)}`], rows, process.stdout.columns);
}
