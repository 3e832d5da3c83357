/** `subbyte compare`: two models on the same test images. */

import type { FlagsOf, NewCommand } from "../../command.ts";
import { wholeNumber } from "../../flag-values.ts";

const examples = `
Layers of the same name and shape are compared; SQNR is the power of A's values over that of the difference. Of two
converted files the codes are compared.

Examples:
  subbyte compare runs/float runs/lsq4
  subbyte compare runs/lsq4 runs/lsq4/convert/model.int.onnx
  subbyte compare mine.onnx tuned.onnx --data images/ --limit 500 --json`;

/** Declares `subbyte compare`. */
export const declareCompare = (command: NewCommand) =>
  command
    .description("Run two models on the same test images: accuracy, differences of outputs and layers.")
    .argument("<a>", "folder of a run, a checkpoint file, or an ONNX file")
    .argument("<b>", "the model to compare it with")
    .option("--data <name|folder>", "data to compare on (default: the test images of the first run)")
    .option("--limit <n>", "use only the first N test images", wholeNumber(1))
    .option("--departure <db>", "name the first layer with an SQNR below this", Number, 20)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "list every layer, not only the worst")
    .addHelpText("after", examples);

/** The flags of `subbyte compare`. */
export type CompareFlags = FlagsOf<typeof declareCompare>;
