/** `subbyte demo`: its flags and its help. What it does is in actions/demo.ts. */

import { type ParentCommand, wholeNumber, wholeNumberBetween } from "./common.ts";

const examples = `
Trains a ResNet in float on a part of Fashion-MNIST that comes with subbyte, then twice more from there with so few bits:
as the forum thread did it (moving min and max, reduced range), and with learned step sizes. Ends with a table of both.

Examples:
  subbyte demo
  subbyte demo --weight-bits 2 --activation-bits 2
  subbyte demo --json > demo.json`;

/** Adds the command to the program. */
export function addDemoCommand(program: ParentCommand): void {
  program
    .command("demo")
    .summary("the whole story in a few minutes: float, the thread's quantizers, the cure")
    .description("Show what few bits do to a training, and what cures it.")
    .option("--weight-bits <n>", "bits of the weights", wholeNumberBetween(1, 16), 4)
    .option("--activation-bits <n>", "bits of the activations", wholeNumberBetween(1, 16), 4)
    .option("--float-epochs <n>", "epochs in float", wholeNumber(1), 4)
    .option("--qat-epochs <n>", "epochs with quantizers, each time", wholeNumber(1), 2)
    .option("--train-limit <n>", "only the first so many training images", wholeNumber(1))
    .option("--test-limit <n>", "only the first so many test images", wholeNumber(1))
    .option("--seed <n>", "seed of everything random", wholeNumberBetween(0, 2 ** 32 - 1), 0)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("-o, --out <dir>", "folder that runs are kept in", "runs")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print more: shapes, the graph's size, where time went")
    .addHelpText("after", examples)
    .action(async (flags) => {
      const { demo } = await import("../actions/demo.ts");
      await demo(flags);
    });
}
