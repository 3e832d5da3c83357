/** `subbyte diagnose`: its flags and its help. What it does is in actions/diagnose.ts. */

import { Option } from "@commander-js/extra-typings";
import { type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Reads what was measured while the run trained (diagnosis.jsonl) and measures its checkpoint on a training batch. A finding
names a cause, the layers, how sure it is, and the change of configuration that mends it; -v adds what was measured for it
and against it. The findings are kept in the run's findings.json.

Examples:
  subbyte diagnose runs/minmax
  subbyte diagnose runs/minmax --ablate            weights only, activations only, each layer alone and left out
  subbyte diagnose runs/minmax --json`;

/** Adds the command to the program. */
export function addDiagnoseCommand(program: ParentCommand): void {
  program
    .command("diagnose")
    .summary("find out why a training does not reach its accuracy")
    .description("Find out what keeps a run from its accuracy: the causes, the layers, the cure.")
    .argument("<run>", "a run's directory, finished or still going on")
    .addOption(
      new Option("--checkpoint <which>", "which of the run's checkpoints to measure")
        .choices(["last", "best"] as const)
        .default("last" as const),
    )
    .option("--ablate", "also evaluate with parts of the quantizers switched off")
    .option("--limit <n>", "test images for that", wholeNumber(1), 1000)
    .option("--from <run>", "float run that a cure may start from")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print more: the measurements for and against each finding")
    .addHelpText("after", examples)
    .action(async (run, flags) => {
      const { diagnose } = await import("../actions/diagnose.ts");
      await diagnose(run, flags);
    });
}
