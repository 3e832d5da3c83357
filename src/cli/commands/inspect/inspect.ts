/** `subbyte inspect`: the layers of a model, their cost at given bits, and which can be quantized and trained. */

import { modelNames } from "../../../models/names.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber, wholeNumberBetween } from "../../flag-values.ts";

const examples = `
Multiplications, bit operations and shapes are for one sample. Quantizers go to the layers; everything else stays in
float. The line "integers" says whether the network converts with a quantizer on every layer, and if not, which operators are
refused (docs/integer.md).

Examples:
  subbyte inspect model.onnx
  subbyte inspect model.onnx --weight-bits 4 --activation-bits 4
  subbyte inspect detector.onnx --input-shape image=1x3x320x320
  subbyte inspect resnet20 --sample-shape 3x32x32 --json`;

/** Declares `subbyte inspect`. */
export const declareInspect = (command: NewCommand) =>
  command
    .description("Print a model's layers, their cost at given bits, and which of them can be quantized and trained.")
    .argument("<model>", `an ONNX file, or the name of a network: ${modelNames.join(", ")}`)
    .option("--weight-bits <n>", "bits of the weights", wholeNumberBetween(1, 32), 32)
    .option("--activation-bits <n>", "bits of the activations", wholeNumberBetween(1, 32), 32)
    .option("--input-shape <name=shape>", "shape of an input that the file leaves open (repeatable)", collect)
    .option("--sample-shape <shape>", "channels, height and width of a named network's images", "1x28x28")
    .option("--classes <n>", "classes of a named network", wholeNumber(1), 10)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no notes on what cannot be trained")
    .option("-v, --verbose", "print full names of layers, wider than the terminal, and all nodes that do not convert")
    .addHelpText("after", examples);

/** The flags of `subbyte inspect`. */
export type InspectFlags = FlagsOf<typeof declareInspect>;
