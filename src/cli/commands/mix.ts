/** `subbyte mix`: its flags and its help. What it does is in actions/mix.ts. */

import { collect, type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Quantizes the weights and the input of every layer alone to each number of bits, measures how far that moves the
network's outputs, and finds the bits for each layer that lose least within the budget. Nothing is trained for that.
The first and the last layer keep the bits of the recipe. The configuration goes to a file for \`subbyte train\`.

Examples:
  subbyte mix runs/float --budget W3A3            no larger and no dearer than 3 bits everywhere
  subbyte mix runs/float --max-bytes 30000 --activation-bits 4
  subbyte mix runs/float --max-bit-operations 9e7 --free-ends
  subbyte mix runs/float --max-average-bits 2.5 --keep layer3.0.conv2
  subbyte mix runs/float --budget W3A3 --train --seeds 3 --epochs 4 --lr 0.01
  subbyte train --config runs/float/mix.yaml

Exit codes: 1 when a training failed, 2 when no mix keeps the budget, 130 when it was stopped.`;

/** Adds the command to the program. */
export function addMixCommand(program: ParentCommand): void {
  program
    .command("mix")
    .summary("choose the bits of each layer for a budget")
    .description(
      "Choose bits of weights and activations for each layer, so that a budget is kept and the least is lost.",
    )
    .argument("<run>", "a run's directory, or a checkpoint file; best a float one")
    .option("--budget <bits>", "size and bit operations of these bits everywhere, e.g. W3A3")
    .option("--max-bytes <n>", "budget: size of the integer model")
    .option("--max-bit-operations <n>", "budget: bit operations for one sample")
    .option("--max-average-bits <x>", "budget: mean bits of a weight")
    .option("--weight-bits <list>", "bits that weights may have (default: 2,3,4,5,6,8)")
    .option("--activation-bits <list>", "bits that activations may have (default: 2,3,4,5,6,8)")
    .option("--preset <name>", "quantization recipe (default: the run's own, lsq for a float run)")
    .option("--keep <layer>", "leave this layer's bits as the recipe has them; a name or a glob (repeatable)", collect)
    .option("--free-ends", "choose for the first and the last layer too")
    .option("--samples <n>", "training samples to measure on", wholeNumber(1), 256)
    .option("--epochs <n>", "epochs of the training to come (default: the run's)")
    .option("--lr <x>", "its learning rate (default: the run's, a tenth of it for a float run)")
    .option("--set <key=value>", "set another key of its configuration (repeatable)", collect)
    .option("-o, --out <file>", "where to write the configuration (default: mix.yaml in the run's directory)")
    .option("--train [dir]", "train it and the uniform one of the budget, as a study in this folder (studies/mix)")
    .option("--seeds <n>", "seeds to train with", wholeNumber(1), 1)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .action(async (run, flags) => {
      const { mix } = await import("../actions/mix.ts");
      await mix(run, flags);
    })
    .addHelpText("after", examples);
}
