/** `subbyte compare`: its flags and its help. What it does is in actions/compare.ts. */

import { type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Layers of the same name and shape are compared where they stand in both: SQNR is the power of A's values over that of the
difference. Of two converted files the codes are compared.

Examples:
  subbyte compare runs/float runs/lsq4
  subbyte compare runs/lsq4 runs/lsq4/convert/model.int.onnx
  subbyte compare mine.onnx tuned.onnx --data images/ --limit 500 --json`;

/** Adds the command to the program. */
export function addCompareCommand(program: ParentCommand): void {
  program
    .command("compare")
    .summary("say how far two models are apart, and from which layer on")
    .description("Run two models on the same test images: accuracy, differences of outputs and layers.")
    .argument("<a>", "a run's directory, a checkpoint file, or an ONNX file")
    .argument("<b>", "the other one")
    .option("--data <name|folder>", "data to compare on (default: the test images of the first run)")
    .option("--limit <n>", "only the first so many test images", wholeNumber(1))
    .option("--departure <db>", "name the first layer with an SQNR below this", Number, 20)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "list every layer, not only the worst")
    .addHelpText("after", examples)
    .action(async (a, b, flags) => {
      const { compareModelFiles } = await import("../actions/compare.ts");
      await compareModelFiles(a, b, flags);
    });
}
