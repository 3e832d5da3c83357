/** `subbyte train`: trains a network, in float or with quantizers. */

import { Option } from "@commander-js/extra-typings";
import { taskChoices } from "../../../data/dataset/loaded-data.ts";
import { modelNames } from "../../../models/names.ts";
import { presetNames } from "../../../qconfig/presets.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect } from "../../flag-values.ts";

const examples = `
Order of precedence: a flag, --set, the file, the defaults.

Examples:
  subbyte train --model resnet20 --epochs 10 --name float
  subbyte train --preset lsq --weight-bits 4 --activation-bits 4 --from runs/float --lr 0.01
  subbyte train --config qat.yaml --set train.schedule.warmupEpochs=1 --seed 3
  subbyte train --config vit.yaml --set train.optimizer.gradientClip=1      limit the norm of the gradients
  subbyte train --model mine.onnx --data ./images --task distillation --preset lsq       no labels needed
  subbyte train --preset thread --dry-run          sizes, classes, bits of each layer, memory, time, integers
  subbyte train --preset thread --print-config > qat.yaml
  subbyte train --resume                           resume the latest stopped run
  subbyte train --resume runs/float                resume this one
  subbyte train --config runs/float/config.yaml --from runs/float --lr 0.001    a new run from its weights`;

/** Declares `subbyte train`. */
export const declareTrain = (command: NewCommand) =>
  command
    .description("Train a network, in float or with quantizers that simulate fewer bits.")
    .option("-c, --config <file>", "YAML or JSON file with the configuration")
    .option("--set <key=value>", "set one key of it, e.g. train.optimizer.momentum=0.8 (repeatable)", collect)
    .option("-m, --model <name|file>", `network: ${modelNames.join(", ")}, or a file such as mine.onnx`)
    .option(
      "--no-restore-batch-norm",
      "of a model's file: leave BatchNorm folded into its convolutions (default: put it back)",
    )
    .option(
      "--strip-quantizers",
      "remove the quantizers that the model's file carries (default: refused with a preset)",
    )
    .option(
      "--data <name|folder>",
      "fashion-mnist-part (comes with subbyte), fashion-mnist, or a folder such as ./mine",
    )
    .addOption(new Option("--task <name>", "training task (default: inferred from the labels)").choices(taskChoices))
    .option("--teacher <file|run>", "learn from this network, with or without labels: mine.onnx, or a float run")
    .option("--epochs <n>", "epochs to train")
    .option("--batch <n>", "images in a batch")
    .option("--lr <x>", "learning rate")
    .option("--preset <name>", `quantization preset: ${presetNames().join(", ")}`)
    .option("--weight-bits <n>", "bits of the weights, 1 to 16")
    .option("--activation-bits <n>", "bits of the activations, 1 to 16")
    .addOption(new Option("--placement <how>", "where quantizers go").choices(["fused", "everyModule"] as const))
    .option(
      "--from <checkpoint>",
      "start from the weights of a checkpoint or of a run's folder, on its model and data unless others are given",
    )
    .option("--seed <n>", "random seed (default: 0)")
    .option("--device <name>", "cpu, webgpu, cuda, or auto for the fastest one available (default: cpu)")
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core (default: 0)")
    .addOption(
      new Option(
        "--recompute <when>",
        "recompute activations to save memory (gradient checkpointing); auto: only if a step does not fit (default: auto)",
      ).choices(["auto", "always", "never"] as const),
    )
    .option("-o, --out <folder>", "folder for runs", "runs")
    .option("--name <name>", "name of the run's folder (default: from model, bits and time)")
    .option("--exist-ok", "use a folder that exists already instead of NAME-2")
    .option("--resume [folder]", "resume a stopped run as it is; without a folder the latest one")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "with --diagnose: print the measurements of each finding too")
    .option("--diagnose", "print the findings after each epoch")
    .option("--no-diagnose", "do not measure the tensors while training (diagnosis.jsonl)")
    .option("--stop-on-fault", "stop with a checkpoint where a finding is certain while it trains (exit code 1)")
    .option("--dry-run", "open data and model, run a few steps, and print the configuration with what it would take")
    .option("--print-config", "print the resolved configuration and open nothing")
    .addHelpText("after", examples);

/** The flags of `subbyte train`. */
export type TrainFlags = FlagsOf<typeof declareTrain>;
