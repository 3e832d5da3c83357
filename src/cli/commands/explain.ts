/** `subbyte explain`: its flags and its help. What it does is in actions/explain.ts. */

import { Option } from "@commander-js/extra-typings";
import { networkNames } from "../network-names.ts";
import { collect, type ParentCommand, wholeNumber, wholeNumberBetween } from "./common.ts";

const examples = `
CONFIG is one of
  a preset                 lsq, minmax, thread, …, with --weight-bits and --activation-bits
  a training configuration a YAML or JSON file
  a run                    its directory, or a checkpoint; ranges come from its own weights and data
  Python                   a .py or .txt file with a torch QConfig, or - for standard input

Examples:
  subbyte explain thread
  subbyte explain lsq resnet18 --weight-bits 2 --activation-bits 2
  subbyte explain qconfig.py --define bits=4
  pbpaste | subbyte explain -
  subbyte explain runs/thread --verbose
  subbyte explain minmax --from runs/float         with the ranges of a trained network`;

/** Adds the command to the program. */
export function addExplainCommand(program: ParentCommand): void {
  program
    .command("explain")
    .summary("say what a configuration really does")
    .description(
      "Say what a quantization really does: levels asked for and levels there are, ranges, and the lines to change.",
    )
    .argument("<config>", "a preset, a configuration file, a run, Python with a torch QConfig, or -")
    .argument("[model]", `network: ${networkNames}, or an .onnx file`)
    .option("--weight-bits <n>", "bits of a preset's weights (default: 4)", wholeNumberBetween(1, 16))
    .option("--activation-bits <n>", "bits of a preset's activations (default: 4)", wholeNumberBetween(1, 16))
    .addOption(new Option("--placement <how>", "where quantizers are put").choices(["fused", "everyModule"] as const))
    .option("--define <name=value>", "value of a variable that the Python reads, e.g. bits=4 (repeatable)", collect)
    .option("--data <name|folder>", "look at a batch of this data: ranges and codes that are really used")
    .option("--from <checkpoint>", "take the weights of a checkpoint or of a run's directory")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("--json", "print it as one JSON document")
    .option("-v, --verbose", "list every tensor, not only every kind")
    .addHelpText("after", examples)
    .action(async (config, model, flags) => {
      const { explainConfig } = await import("../actions/explain.ts");
      await explainConfig(config, model, flags);
    });
}
