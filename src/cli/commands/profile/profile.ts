/** `subbyte profile`: where the time of a training step goes. */

import { Option } from "@commander-js/extra-typings";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber } from "../../flag-values.ts";

const examples = `
Runs a few training steps under ONNX Runtime's profiler and adds up time and bytes by kind of work, by layer and by
operator. The lower bound of a kind is the least time that its arithmetic or its bytes could take on this machine, at the
measured speed of a large matrix product and a large addition.

Examples:
  subbyte profile --model resnet20 --preset lsq --weight-bits 4 --activation-bits 4
  subbyte profile --config qat.yaml --batch 64 --layers 30
  subbyte profile --model mine.onnx --data ./images --json`;

/** Declares `subbyte profile`. */
export const declareProfile = (command: NewCommand) =>
  command
    .description("Show where the time and the bytes of a training step go, compared with lower bounds.")
    .option("-c, --config <file>", "YAML or JSON file with the configuration, as for train")
    .option("--set <key=value>", "set one key of it (repeatable)", collect)
    .option("-m, --model <name|file>", "network: a name as for train, or a file such as mine.onnx")
    .option("--data <name|folder>", "data, as for train")
    .option("--batch <n>", "images in a batch")
    .option("--preset <name>", "quantization preset; float for none")
    .option("--weight-bits <n>", "bits of the weights, 1 to 16")
    .option("--activation-bits <n>", "bits of the activations, 1 to 16")
    .addOption(new Option("--placement <how>", "where quantizers go").choices(["fused", "everyModule"] as const))
    .option("--device <name>", "cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core (default: 0)")
    .option("--steps <n>", "steps to measure; the median step is shown", wholeNumber(1), 5)
    .option("--layers <n>", "layers to list, the slowest first", wholeNumber(0), 12)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "list every layer and every operator")
    .addHelpText("after", examples);

/** The flags of `subbyte profile`. */
export type ProfileFlags = FlagsOf<typeof declareProfile>;
