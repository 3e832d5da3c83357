/** `subbyte eval`: the accuracy and the loss of a run's network on test images. */

import { Option } from "@commander-js/extra-typings";
import { deviceChoices } from "../../../runtime/engine.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { checkpointOption, collect, defaultResidualBits, wholeNumber } from "../../flag-values.ts";

const examples = `
Examples:
  subbyte eval runs/float
  subbyte eval mine.onnx --data ./images          what the file itself reaches
  subbyte eval runs/lsq --checkpoint best --data fashion-mnist --json`;

/** Declares `subbyte eval`. */
export const declareEval = (command: NewCommand) =>
  command
    .description("Measure the accuracy and the loss of a run's network, or of a model's file, on test images.")
    .argument("<run|model>", "folder of a run, a checkpoint file, or an ONNX file")
    .addOption(checkpointOption())
    .option("--data <name|folder>", "evaluate on this data (default: the run's own)")
    .option(
      "--set <key=value>",
      "of a model's file: a key of its data, e.g. data.normalization=imagenet (repeatable)",
      collect,
    )
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option("--integer", "evaluate the integer network of subbyte convert instead of the simulation")
    .option("--residual-bits <n>", "of the integers: as in subbyte convert", wholeNumber(2), defaultResidualBits)
    .option("--no-residual-bits", "of the integers: as in subbyte convert")
    .option("--limit <n>", "use only the first N test images", wholeNumber(1))
    .addOption(
      new Option("--device <name>", "cpu, webgpu, cuda, or auto for the fastest one available")
        .choices(deviceChoices)
        .default("cpu" as const),
    )
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print the bits of each quantizer too")
    .addHelpText("after", examples);

/** The flags of `subbyte eval`. */
export type EvalFlags = FlagsOf<typeof declareEval>;
