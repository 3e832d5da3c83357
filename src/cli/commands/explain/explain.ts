/** `subbyte explain`: the levels, codes and ranges that a quantization configuration really gives. */

import { Option } from "@commander-js/extra-typings";
import { modelNames } from "../../../models/names.ts";
import type { NewCommand } from "../../command.ts";
import { collect, wholeNumber, wholeNumberBetween } from "../../flag-values.ts";

const examples = `
CONFIG is one of
  a preset                 lsq, minmax, thread, …, with --weight-bits and --activation-bits
  a training configuration a YAML or JSON file
  a run                    its folder, or a checkpoint; ranges come from its own weights and data
  Python                   a .py or .txt file, or - for standard input: a torch QConfig, QConfigMapping,
                           QuantizationSpec or torchao configuration, alone or in a whole script

Examples:
  subbyte explain thread
  subbyte explain lsq resnet18 --weight-bits 2 --activation-bits 2
  subbyte explain qconfig.py --define bits=4
  pbpaste | subbyte explain -
  subbyte explain runs/thread --verbose
  subbyte explain minmax --from runs/float         with the ranges of a trained network`;

/** Declares `subbyte explain`. */
export const declareExplain = (command: NewCommand) =>
  command
    .description("Compare the requested bits with the effective levels, and name the lines to change.")
    .argument("<config>", "a preset, a configuration file, a run, Python with a torch QConfig, or -")
    .argument("[model]", `network: ${modelNames.join(", ")}, or an .onnx file`)
    .option("--weight-bits <n>", "bits of a preset's weights (default: 4)", wholeNumberBetween(1, 16))
    .option("--activation-bits <n>", "bits of a preset's activations (default: 4)", wholeNumberBetween(1, 16))
    .addOption(new Option("--placement <how>", "where quantizers go").choices(["fused", "everyModule"] as const))
    .option("--define <name=value>", "value of a name in the Python code, e.g. bits=4 (repeatable)", collect)
    .option("--strip-quantizers", "remove the quantizers that an .onnx file carries")
    .option("--data <name|folder>", "measure ranges and used codes on a batch of this data")
    .option("--from <checkpoint>", "take the weights of a checkpoint or of a run's folder")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no notes")
    .option("-v, --verbose", "list every tensor, not only every kind")
    .addHelpText("after", examples);
