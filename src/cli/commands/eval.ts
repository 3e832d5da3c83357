/** `subbyte eval`: its flags and its help. What it does is in actions/eval.ts. */

import { Option } from "@commander-js/extra-typings";
import { deviceChoices } from "../../runtime/engine.ts";
import { type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Examples:
  subbyte eval runs/float
  subbyte eval runs/lsq --checkpoint best --data fashion-mnist --json`;

/** Adds the command to the program. */
export function addEvalCommand(program: ParentCommand): void {
  program
    .command("eval")
    .summary("measure the accuracy of a trained network")
    .description("Measure the accuracy and the loss of a run's network on the test images.")
    .argument("<run>", "a run's directory, or a checkpoint file")
    .addOption(
      new Option("--checkpoint <which>", "which of a run's checkpoints")
        .choices(["last", "best"] as const)
        .default("last" as const),
    )
    .option("--data <name|folder>", "other data than the run's own")
    .option("--batch <n>", "images in a batch", wholeNumber(1))
    .option("--integer", "in the arithmetic of the converted integers, not in that of the training")
    .option("--limit <n>", "only the first so many test images", wholeNumber(1))
    .addOption(
      new Option("--device <name>", "where to compute: cpu, webgpu, cuda, or auto for the fastest there is")
        .choices(deviceChoices)
        .default("cpu" as const),
    )
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print more: each class, the levels of each layer")
    .addHelpText("after", examples)
    .action(async (run, flags) => {
      const { evaluate } = await import("../actions/eval.ts");
      await evaluate(run, flags);
    });
}
