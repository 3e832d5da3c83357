/** `subbyte study`: a grid of weight bits and activation bits, the causes of failures, the fixes. */

import { Option } from "@commander-js/extra-typings";
import { modelNames } from "../../../models/names.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber } from "../../flag-values.ts";

const examples = `
Trains a float network, then one network for each pair of weight bits and activation bits, recipe and seed, each in its
own process, and computes what each bit is worth. Without a configuration it asks the question of the forum thread, on
the part of Fashion-MNIST that comes with subbyte. It can be stopped at any time: the same command, or --resume, resumes.

Examples:
  subbyte study
  subbyte study study.yaml --out studies/mine
  subbyte study --weight-bits 8,4,2 --activation-bits 8,6,5,4,3 --recipes thread,lsq --seeds 3
  subbyte study --resume studies/mine             resume a stopped study
  subbyte study --recipes thread --fix            why few bits fail, which fixes help, and the map with the fixes
  subbyte study --max-bytes 20000                 the best model of at most N bytes
  subbyte study --set train.schedule.warmupEpochs=1 --set 'earlyStopping={rule: median}'

Exit codes: 1 when a trial failed or a cell is impossible (all others are done), 130 when it was stopped.`;

/** Declares `subbyte study`. */
export const declareStudy = (command: NewCommand) =>
  command
    .description("Train a grid of weight bits and activation bits, and measure what each bit is worth.")
    .argument("[config]", "YAML or JSON file with the study's configuration")
    .option("--set <key=value>", "set one key of it, e.g. train.epochs=3 (repeatable)", collect)
    .option("-m, --model <name|file>", `network: ${modelNames.join(", ")}, or a file such as mine.onnx`)
    .option("--data <name|folder>", "fashion-mnist-part, fashion-mnist, or a folder such as ./mine")
    .option("--train-limit <n>", "use only N training images")
    .option("--test-limit <n>", "use only N test images")
    .option("--weight-bits <list>", "bits of the weights, e.g. 8,4,2")
    .option("--activation-bits <list>", "bits of the activations, e.g. 8,6,5,4,3")
    .option("--recipes <list>", "quantization recipes, e.g. thread,lsq")
    .option("--seeds <n>", "seeds for each cell, 0 to n-1")
    .option("--epochs <n>", "epochs of each trial")
    .option("--lr <x>", "learning rate of each trial")
    .option("--float-epochs <n>", "epochs of the float network")
    .option("--batch <n>", "images in a batch")
    .option(
      "--from <checkpoint>",
      "start from this float network instead of training one, on its model and data unless others are given",
    )
    .addOption(
      new Option("--early-stopping <rule>", "stop trials early that fall behind").choices([
        "none",
        "median",
        "asha",
      ] as const),
    )
    .option("--max-bytes <n>", "budget: size of the integer model")
    .option("--max-bit-operations <n>", "budget: bit operations for one image")
    .option("--parallel <n>", "trials that run at the same time (default: one per core)", wholeNumber(1))
    .option("--device <name>", "device of the trials: cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of each trial (default: the cores divided among the trials)")
    .option("-o, --out <folder>", "folder of the study", "studies/study")
    .option("--resume [folder]", "resume the study in this folder (default: that of --out)")
    .option("--fix", "search for fixes where trials fail, and train the grid again with those that help")
    .option("--no-diagnose", "do not measure the tensors while training: no findings")
    .option("--stop-on-fault", "stop a trial where a finding is certain while it trains: it counts as failed")
    .option("--no-report", "write no HTML report at the end")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print every finding of a failing trial, not only those of the highest confidence")
    .option("--dry-run", "open data and model, run a few steps, print the trials with what they would take, then stop")
    .addHelpText("after", examples);

/** The flags of `subbyte study`. */
export type StudyFlags = FlagsOf<typeof declareStudy>;
