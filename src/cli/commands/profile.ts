/** `subbyte profile`: its flags and its help. What it does is in actions/profile.ts. */

import { Option } from "@commander-js/extra-typings";
import { collect, type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Runs a few training steps under ONNX Runtime's profiler and adds up time and bytes by kind of work, by layer and by the
engine's operators. The floor of a kind is the least time that its arithmetic or its bytes could take on this machine,
at the speed that a large matrix product and a large addition were measured to have.

Examples:
  subbyte profile --model resnet20 --preset lsq --weight-bits 4 --activation-bits 4
  subbyte profile --config qat.yaml --batch 64 --layers 30
  subbyte profile --model mine.onnx --data ./images --json`;

/** Adds the command to the program. */
export function addProfileCommand(program: ParentCommand): void {
  program
    .command("profile")
    .summary("show where the time of a training step goes")
    .description("Show where the time and the bytes of a training step go, beside the least that they could be.")
    .option("-c, --config <file>", "YAML or JSON file with the configuration, as of train")
    .option("--set <key=value>", "set one key of it (repeatable)", collect)
    .option("-m, --model <name|file>", "network: a name as of train, or a file such as mine.onnx")
    .option("--data <name|folder>", "data, as of train")
    .option("--batch <n>", "images in a batch")
    .option("--preset <name>", "quantization recipe; float for none")
    .option("--weight-bits <n>", "bits of the weights, 1 to 16")
    .option("--activation-bits <n>", "bits of the activations, 1 to 16")
    .addOption(new Option("--placement <how>", "where quantizers are put").choices(["fused", "everyModule"] as const))
    .option("--device <name>", "where to compute: cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core (default: 0)")
    .option("--steps <n>", "steps to measure; the median one is shown", wholeNumber(1), 5)
    .option("--layers <n>", "layers to list, the slowest first", wholeNumber(0), 12)
    .option("--json", "print the result as one JSON document")
    .addHelpText("after", examples)
    .action(async (flags) => {
      const { profile } = await import("../actions/profile.ts");
      await profile(flags);
    });
}
