/** `subbyte train`: its flags and its help. What it does is in actions/train.ts. */

import { Option } from "@commander-js/extra-typings";
import { networkNames } from "../network-names.ts";
import { collect, type ParentCommand } from "./common.ts";

const examples = `
A flag goes over --set, which goes over the file, which goes over the defaults.

Examples:
  subbyte train --model resnet20 --epochs 10 --name float
  subbyte train --preset lsq --weight-bits 4 --activation-bits 4 --from runs/float --lr 0.01
  subbyte train --config qat.yaml --set train.schedule.warmupEpochs=1 --seed 3
  subbyte train --model mine.onnx --data ./images --task distillation --preset lsq     no labels needed
  subbyte train --preset thread --dry-run          print the resolved configuration, run nothing
  subbyte train --resume                           go on with the latest run that was stopped
  subbyte train --resume runs/float                go on with this one`;

/** Adds the command to the program. */
export function addTrainCommand(program: ParentCommand): void {
  program
    .command("train")
    .summary("train a network, in float or with quantizers")
    .description("Train a network, in float or with the quantizers that simulate fewer bits.")
    .option("-c, --config <file>", "YAML or JSON file with the configuration")
    .option("--set <key=value>", "set one key of it, e.g. train.optimizer.momentum=0.8 (repeatable)", collect)
    .option("-m, --model <name|file>", `network: ${networkNames}, or a file such as mine.onnx`)
    .option(
      "--data <name|folder>",
      "fashion-mnist-part (comes with subbyte), fashion-mnist, or a folder such as ./mine",
    )
    .addOption(
      new Option("--task <what>", "what is learned from the data (default: what its labels look like)").choices([
        "classification",
        "regression",
        "distillation",
      ] as const),
    )
    .option("--teacher <file|run>", "network to learn from besides the labels, or instead: mine.onnx, or a float run")
    .option("--epochs <n>", "epochs to train")
    .option("--batch <n>", "images in a batch")
    .option("--lr <x>", "learning rate")
    .option("--preset <name>", "quantization recipe: lsq, minmax, thread, pact, … (README has all); float for none")
    .option("--weight-bits <n>", "bits of the weights, 1 to 16")
    .option("--activation-bits <n>", "bits of the activations, 1 to 16")
    .addOption(new Option("--placement <how>", "where quantizers are put").choices(["fused", "everyModule"] as const))
    .option("--from <checkpoint>", "start from the weights of a checkpoint or of a run's directory")
    .option("--seed <n>", "seed of everything random (default: 0)")
    .option("--device <name>", "where to compute: cpu, webgpu, cuda, or auto for the fastest there is (default: cpu)")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core (default: 0)")
    .addOption(
      new Option(
        "--recompute <when>",
        "when to compute cheap values again instead of holding them; auto: where a step would not fit (default: auto)",
      ).choices(["auto", "always", "never"] as const),
    )
    .option("-o, --out <dir>", "folder that runs are kept in", "runs")
    .option("--name <name>", "name of the run's directory (default: made of model, bits and time)")
    .option("--exist-ok", "use a directory that is already there instead of NAME-2")
    .option("--resume [dir]", "go on with a stopped run, the latest one if none is named")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print more: shapes, the graph's size, where time went")
    .option("--diagnose", "print what the measurements say after each epoch")
    .option("--no-diagnose", "do not measure the tensors while training (diagnosis.jsonl)")
    .option("--dry-run", "check and print the resolved configuration, then stop")
    .addHelpText("after", examples)
    .action(async (flags) => {
      const { train } = await import("../actions/train.ts");
      await train(flags);
    });
}
