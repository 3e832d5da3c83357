/** `subbyte diagnose`: why a run loses accuracy. */

import type { FlagsOf, NewCommand } from "../../command.ts";
import { checkpointOption, wholeNumber } from "../../flag-values.ts";

const examples = `
Reads what was measured while the run trained (diagnosis.jsonl) and measures its checkpoint on a training batch. A finding
names a cause, its layers, a confidence, and the change of configuration that fixes it; -v adds the measurements. The
findings are kept in the run's findings.json. Below a finding of high confidence stands the command that applies its remedy.

--verify trains the remedies of the first three findings for a fifth of the run's steps, and a control without them; what
they gain raises or lowers the confidence. --fix trains remedies as long as the run, one after the other, and keeps what
helps. Both keep their trainings in the run's folder (verify/, fix/): after Ctrl-C the same command resumes.

Examples:
  subbyte diagnose runs/minmax
  subbyte diagnose runs/minmax --ablate            weights only, activations only, each layer alone and left out
  subbyte diagnose runs/minmax --verify            are these the causes?
  subbyte diagnose runs/minmax --fix               the smallest set of remedies that suffices, and its command
  subbyte diagnose runs/minmax --json`;

/** Declares `subbyte diagnose`. */
export const declareDiagnose = (command: NewCommand) =>
  command
    .description("Find out why a run loses accuracy: the causes, the layers, the fixes.")
    .argument("<run>", "folder of a run, finished or still training")
    .addOption(checkpointOption("which checkpoint of the run to measure"))
    .option("--ablate", "also evaluate with some of the quantizers disabled")
    .option("--verify", "check the first findings by short trainings with and without their remedies")
    .option("--fix", "train the remedies of the findings one after the other, and keep what helps")
    .option("--limit <n>", "test images for --ablate", wholeNumber(1), 1000)
    .option("--from <run>", "float run that a fix may start from")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print the measurements that support and contradict each finding")
    .addHelpText("after", examples);

/** The flags of `subbyte diagnose`. */
export type DiagnoseFlags = FlagsOf<typeof declareDiagnose>;
