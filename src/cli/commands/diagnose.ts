/** `subbyte diagnose`: why a run loses accuracy. */

import { diagnoseRun } from "../../diagnose/diagnose-run.ts";
import { keepDiagnosis } from "../../diagnose/keep-findings.ts";
import { recordForFile } from "../../diagnose/probe/measurement.ts";
import type { Ablation } from "../../runs/ablation.ts";
import { nodeEngine } from "../../runtime/node/node.ts";
import { metricTitle, showMetric } from "../../train/loop/metric-text.ts";
import type { FlagsOf, NewCommand } from "../command.ts";
import { checkpointOption, wholeNumber } from "../flag-values.ts";
import { outputColumns, print, printJson, StatusLine } from "../output.ts";
import { findingsText } from "../view/findings-text.ts";
import { tableLines } from "../view/table.ts";

const examples = `
Reads what was measured while the run trained (diagnosis.jsonl) and measures its checkpoint on a training batch. A finding
names a cause, its layers, a confidence, and the change of configuration that fixes it; -v adds the measurements. The
findings are kept in the run's findings.json.

Examples:
  subbyte diagnose runs/minmax
  subbyte diagnose runs/minmax --ablate            weights only, activations only, each layer alone and left out
  subbyte diagnose runs/minmax --json`;

const declare = (command: NewCommand) =>
  command
    .description("Find out why a run loses accuracy: the causes, the layers, the fixes.")
    .argument("<run>", "folder of a run, finished or still training")
    .addOption(checkpointOption("which checkpoint of the run to measure"))
    .option("--ablate", "also evaluate with some of the quantizers disabled")
    .option("--limit <n>", "test images for --ablate", wholeNumber(1), 1000)
    .option("--from <run>", "float run that a fix may start from")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print the measurements that support and contradict each finding")
    .addHelpText("after", examples);

/** Declares `subbyte diagnose`. */
export const declareDiagnose = (command: NewCommand) => declare(command).action(diagnose);

/** Diagnoses a run, prints the findings, and keeps them in the run's folder. */
async function diagnose(folder: string, flags: FlagsOf<typeof declare>): Promise<void> {
  const status = new StatusLine();
  const silent = flags.json === true || flags.quiet === true || !status.isTerminal;
  const diagnosis = await diagnoseRun(folder, {
    engine: nodeEngine({ threads: flags.threads }),
    checkpoint: flags.checkpoint,
    ablate: flags.ablate === true,
    ablationSamples: flags.limit,
    ...(flags.from === undefined ? {} : { floatRun: flags.from }),
    onProgress: (done, total) => {
      if (!silent) status.show(`ablation ${done} of ${total}`);
    },
  }).finally(() => status.clear());
  await keepDiagnosis(diagnosis);
  const { findings, records, step, ablation } = diagnosis;
  if (flags.json === true) {
    return printJson({
      schemaVersion: 1,
      run: folder,
      step,
      findings,
      ablation: ablation ?? null,
      records: records.map(recordForFile),
    });
  }
  print(...findingsText(findings, { verbose: flags.verbose === true }));
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
