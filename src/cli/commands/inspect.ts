/** `subbyte inspect`: its flags and its help. What it does is in actions/inspect.ts. */

import { networkNames } from "../network-names.ts";
import { collect, type ParentCommand, wholeNumber, wholeNumberBetween } from "./common.ts";

const examples = `
Multiplications, bit operations and shapes are for one sample. Layers are what quantizers are put at; everything else
stays in float.

Examples:
  subbyte inspect model.onnx
  subbyte inspect model.onnx --weight-bits 4 --activation-bits 4
  subbyte inspect detector.onnx --input-shape image=1x3x320x320
  subbyte inspect resnet20 --sample-shape 3x32x32 --json`;

/** Adds the command to the program. */
export function addInspectCommand(program: ParentCommand): void {
  program
    .command("inspect")
    .summary("what a model holds and costs, and what can be quantized and trained")
    .description("Print a model's layers, their cost at given bits, and what can be quantized and trained.")
    .argument("<model>", `an ONNX file, or the name of a network: ${networkNames}`)
    .option("--weight-bits <n>", "bits of the weights", wholeNumberBetween(1, 32), 32)
    .option("--activation-bits <n>", "bits of the activations", wholeNumberBetween(1, 32), 32)
    .option("--input-shape <name=shape>", "an input's shape where the file leaves it open (repeatable)", collect)
    .option("--sample-shape <shape>", "channels, height and width of a named network's images", "1x28x28")
    .option("--classes <n>", "classes of a named network", wholeNumber(1), 10)
    .option("--json", "print it as one JSON document")
    .addHelpText("after", examples)
    .action(async (model, flags) => {
      const { inspect } = await import("../actions/inspect.ts");
      await inspect(model, flags);
    });
}
