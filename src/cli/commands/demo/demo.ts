/**
 * `subbyte demo`: a float network, then the same network with few bits, once with the forum thread's configuration and
 * once with learned step sizes, and a table with the levels that each really has.
 */

import type { FlagsOf, NewCommand } from "../../command.ts";
import { wholeNumber, wholeNumberBetween } from "../../flag-values.ts";

const examples = `
Trains a ResNet in float on a part of Fashion-MNIST that comes with subbyte, then twice from there with few bits: with the
configuration of the forum thread (moving min and max, reduced range), and with learned step sizes. Ends with a table of
all three.

Examples:
  subbyte demo
  subbyte demo --weight-bits 2 --activation-bits 2
  subbyte demo --json > demo.json`;

/** Declares `subbyte demo`. */
export const declareDemo = (command: NewCommand) =>
  command
    .description("See how low-bit quantization breaks a network, and how to fix it.")
    .option("--weight-bits <n>", "bits of the weights", wholeNumberBetween(1, 16), 4)
    .option("--activation-bits <n>", "bits of the activations", wholeNumberBetween(1, 16), 4)
    .option("--float-epochs <n>", "epochs in float", wholeNumber(1), 4)
    .option("--qat-epochs <n>", "epochs of each quantized training", wholeNumber(1), 2)
    .option("--train-limit <n>", "use only N training images", wholeNumber(1))
    .option("--test-limit <n>", "use only N test images", wholeNumber(1))
    .option("--seed <n>", "random seed", wholeNumberBetween(0, 2 ** 32 - 1), 0)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("-o, --out <folder>", "folder for runs", "runs")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print the notes about the data too")
    .addHelpText("after", examples);

/** The flags of `subbyte demo`. */
export type DemoFlags = FlagsOf<typeof declareDemo>;
