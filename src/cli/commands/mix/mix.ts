/** `subbyte mix`: bit widths per layer that fit a budget. */

import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber } from "../../flag-values.ts";

const examples = `
Quantizes the weights and the input of one layer at a time to each bit width, measures how much the network's outputs
change, and finds the bit widths that lose least within the budget. It trains nothing. The first and the last layer keep
the bits of the recipe. The configuration goes to a file for \`subbyte train\`.

Examples:
  subbyte mix runs/float --budget W3A3            at most the size and compute of W3A3
  subbyte mix mine.onnx --data images/ --budget W4A4
  subbyte mix runs/float --max-bytes 30000 --activation-bits 4
  subbyte mix runs/float --max-bit-operations 9e7 --first-and-last
  subbyte mix runs/float --max-average-bits 2.5 --keep layer3.0.conv2
  subbyte mix runs/float --budget W3A3 --train --seeds 3 --epochs 4 --lr 0.01
  subbyte train --config runs/float/mix.yaml

Exit codes: 1 when a training failed, 2 when no mix fits the budget, 130 when it was stopped.`;

/** Declares `subbyte mix`. */
export const declareMix = (command: NewCommand) =>
  command
    .description("Choose per-layer bit widths that fit a budget with the smallest loss of accuracy.")
    .argument("<run|file>", "a run (a float run is best), a checkpoint, or a model's file such as mine.onnx")
    .option("--data <name|folder>", "of a model's file: the data to measure it on")
    .option("--budget <bits>", "size and bit operations of these bits in every layer, e.g. W3A3")
    .option("--max-bytes <n>", "budget: size of the integer model")
    .option("--max-bit-operations <n>", "budget: bit operations for one sample")
    .option("--max-average-bits <x>", "budget: mean bits of a weight")
    .option("--weight-bits <list>", "bits that weights may have (default: 2,3,4,5,6,8)")
    .option("--activation-bits <list>", "bits that activations may have (default: 2,3,4,5,6,8)")
    .option("--preset <name>", "quantization preset (default: the run's own, lsq for a float run)")
    .option("--keep <layer>", "keep the recipe's bits of this layer; a name or a glob (repeatable)", collect)
    .option("--first-and-last", "choose bits of the first and the last layer too")
    .option("--samples <n>", "training samples to measure on", wholeNumber(1), 256)
    .option("--epochs <n>", "epochs in the written configuration (default: the run's)")
    .option("--lr <x>", "its learning rate (default: the run's, a tenth of it for a float run, 0.005 for a file)")
    .option("--set <key=value>", "set another key of its configuration (repeatable)", collect)
    .option("-o, --out <file>", "where to write the configuration (default: mix.yaml in the run's folder)")
    .option("--train [folder]", "train it and its uniform baseline, as a study in this folder (studies/mix)")
    .option("--seeds <n>", "seeds to train with", wholeNumber(1), 1)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print every measurement")
    .addHelpText("after", examples);

/** The flags of `subbyte mix`. */
export type MixFlags = FlagsOf<typeof declareMix>;
