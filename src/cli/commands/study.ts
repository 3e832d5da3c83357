/** `subbyte study`: its flags and its help. What it does is in actions/study.ts. */

import { Option } from "@commander-js/extra-typings";
import { networkNames } from "../network-names.ts";
import { collect, type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Trains a float network, then one network for each cell of weight bits x activation bits, recipe and seed, each in a
process of its own, and says what each bit is worth. Without a configuration: the forum thread's question, on the part
of Fashion-MNIST that comes with subbyte. Kill it at any moment: the same command, or --resume, goes on.

Examples:
  subbyte study
  subbyte study study.yaml --out studies/mine
  subbyte study --weight-bits 8,4,2 --activation-bits 8,6,5,4,3 --recipes thread,lsq --seeds 3
  subbyte study --resume studies/mine             go on with a study that was stopped
  subbyte study --recipes thread --cure           why few bits fail, what cures it, and the map once cured
  subbyte study --max-bytes 20000                 the best model of at most so many bytes
  subbyte study --set train.schedule.warmupEpochs=1 --set 'earlyStopping={rule: median}'

Exit codes: 1 when a trial failed or a cell cannot exist (the rest is done and told), 130 when it was stopped.`;

/** Adds the command to the program. */
export function addStudyCommand(program: ParentCommand): void {
  program
    .command("study")
    .summary("map the accuracy over weight bits and activation bits")
    .description("Train a grid of weight bits and activation bits, and say what each bit is worth.")
    .argument("[config]", "YAML or JSON file with the study's configuration")
    .option("--set <key=value>", "set one key of it, e.g. train.epochs=3 (repeatable)", collect)
    .option("-m, --model <name>", `network: ${networkNames}`)
    .option("--data <name|folder>", "fashion-mnist-part, fashion-mnist, or a folder such as ./mine")
    .option("--train-limit <n>", "only the first so many training images")
    .option("--test-limit <n>", "only the first so many test images")
    .option("--weight-bits <list>", "bits of the weights, e.g. 8,4,2")
    .option("--activation-bits <list>", "bits of the activations, e.g. 8,6,5,4,3")
    .option("--recipes <list>", "quantization recipes, e.g. thread,lsq")
    .option("--seeds <n>", "seeds for each cell, 0 to n-1")
    .option("--epochs <n>", "epochs of each trial")
    .option("--lr <x>", "learning rate of each trial")
    .option("--float-epochs <n>", "epochs of the float network")
    .option("--batch <n>", "images in a batch")
    .option("--from <checkpoint>", "start from this float network instead of training one")
    .addOption(
      new Option("--early-stopping <rule>", "give up hopeless trials").choices(["none", "median", "asha"] as const),
    )
    .option("--max-bytes <n>", "budget: size of the integer model")
    .option("--max-bit-operations <n>", "budget: bit operations for one image")
    .option("--parallel <n>", "trials side by side (default: one for each core)", wholeNumber(1))
    .option("--device <name>", "where trials compute: cpu, webgpu, cuda, or auto (default: cpu)")
    .option("--threads <n>", "threads of each trial (default: the cores shared among the trials)")
    .option("-o, --out <dir>", "the study's folder", "studies/study")
    .option("--resume [dir]", "go on with the study in this folder (default: that of --out)")
    .option("--cure", "try what the findings ask for where trials fell, and map the grid again with what helps")
    .option("--no-diagnose", "do not measure the tensors while training: no findings")
    .option("--no-report", "write no HTML report at the end")
    .option("--json", "print the result as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .option("--dry-run", "check and print the trials, then stop")
    .addHelpText("after", examples)
    .action(async (config, flags) => {
      const { study } = await import("../actions/study.ts");
      await study(config, flags);
    });
}
