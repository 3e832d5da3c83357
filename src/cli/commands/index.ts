/**
 * The commands by group, in the order of the help. A new command is a folder with its declaration and its action next to
 * it, and an entry here.
 *
 * The declaration is loaded when the command is called, so that `subbyte --help` loads none of them; the action, which
 * needs all that the command uses, when it runs, so that `subbyte train --help` does not load it.
 */

import type { Command, CommandUnknownOpts, OptionValues } from "@commander-js/extra-typings";
import { formerNames } from "../../config/former-names.ts";
import type { NewCommand } from "../command.ts";

/** The description of a command before its file is loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Words that users try instead of the name; the error then suggests this command. */
  readonly alsoCalled?: readonly string[];
  /** Former names of flags, each with the present one; they are accepted with a note. */
  readonly renamedFlags?: Readonly<Record<string, string>>;
  /** Loads the command's declaration; the function gives the command its arguments, flags, help and action. */
  readonly load: () => Promise<(command: NewCommand) => CommandUnknownOpts>;
}

/** Loads a declaration at once, for the help and the flags, and the action when the command runs. */
function declared<
  Args extends unknown[],
  Flags extends OptionValues,
  Action extends (...given: [...Args, Flags, Command<Args, Flags>]) => Promise<void>,
>(
  declaration: () => Promise<(command: NewCommand) => Command<Args, Flags>>,
  action: () => Promise<Action>,
): CommandEntry["load"] {
  return async () => {
    const declare = await declaration();
    return (command) => declare(command).action(async (...given) => (await action())(...given));
  };
}

/** The commands in the groups and the order of the help. Adding a command is adding its folder and an entry here. */
export const commandGroups: Readonly<Record<string, readonly CommandEntry[]>> = {
  "Start:": [
    {
      name: "demo",
      summary: "see in a minute or two how 4 bits break a network, and a fix",
      alsoCalled: ["init", "quickstart", "example"],
      load: declared(
        async () => (await import("./demo/demo.ts")).declareDemo,
        async () => (await import("./demo/action.ts")).demoAction,
      ),
    },
    {
      name: "data",
      summary: "download data sets and look at them",
      alsoCalled: ["dataset", "download", "fetch"],
      load: async () => (await import("./data/subcommands.ts")).declareData,
    },
  ],
  "Look:": [
    {
      name: "inspect",
      summary: "layers, size and compute of a model, and which layers can be quantized",
      alsoCalled: ["info", "show", "ls", "list", "summary"],
      load: declared(
        async () => (await import("./inspect/inspect.ts")).declareInspect,
        async () => (await import("./inspect/action.ts")).inspectAction,
      ),
    },
    {
      name: "import",
      summary: "read an ONNX model, simplify it and list what can be trained",
      alsoCalled: ["load", "simplify"],
      load: declared(
        async () => (await import("./import/import.ts")).declareImport,
        async () => (await import("./import/action.ts")).importAction,
      ),
    },
    {
      name: "explain",
      summary: "the levels that a quantization configuration really gives",
      alsoCalled: ["check", "lint", "qconfig"],
      load: declared(
        async () => (await import("./explain/explain.ts")).declareExplain,
        async () => (await import("./explain/action.ts")).explainAction,
      ),
    },
  ],
  "Train:": [
    {
      name: "train",
      summary: "train a network in float or with quantizers",
      alsoCalled: ["fit", "finetune", "qat", "quantize", "resume"],
      load: declared(
        async () => (await import("./train/train.ts")).declareTrain,
        async () => (await import("./train/action.ts")).trainAction,
      ),
    },
    {
      name: "study",
      summary: "map the accuracy over weight bits and activation bits",
      alsoCalled: ["sweep", "grid", "search", "fix", formerNames.fix],
      renamedFlags: { "--cure": "--fix" },
      load: declared(
        async () => (await import("./study/study.ts")).declareStudy,
        async () => (await import("./study/action.ts")).studyAction,
      ),
    },
    {
      name: "mix",
      summary: "choose bit widths per layer for a budget",
      alsoCalled: ["mixed", "budget", "allocate"],
      renamedFlags: { "--free-ends": "--first-and-last" },
      load: declared(
        async () => (await import("./mix/mix.ts")).declareMix,
        async () => (await import("./mix/action.ts")).mixAction,
      ),
    },
  ],
  "Understand:": [
    {
      name: "eval",
      summary: "measure the accuracy of a trained network",
      alsoCalled: ["test", "val", "validate", "evaluate", "accuracy"],
      load: declared(
        async () => (await import("./eval/eval.ts")).declareEval,
        async () => (await import("./eval/action.ts")).evalAction,
      ),
    },
    {
      name: "diagnose",
      summary: "find out why a run loses accuracy, and how to fix it",
      alsoCalled: ["doctor", "why", "debug", "analyze"],
      load: declared(
        async () => (await import("./diagnose/diagnose.ts")).declareDiagnose,
        async () => (await import("./diagnose/action.ts")).diagnoseAction,
      ),
    },
    {
      name: "compare",
      summary: "measure how far two models differ, and from which layer on",
      alsoCalled: ["diff"],
      load: declared(
        async () => (await import("./compare/compare.ts")).declareCompare,
        async () => (await import("./compare/action.ts")).compareAction,
      ),
    },
    {
      name: "profile",
      summary: "show where the time of a training step goes",
      alsoCalled: ["benchmark", "bench", "time"],
      load: declared(
        async () => (await import("./profile/profile.ts")).declareProfile,
        async () => (await import("./profile/action.ts")).profileAction,
      ),
    },
    {
      name: "report",
      summary: "write the HTML report of a study or a run",
      alsoCalled: ["open", "ui", "view", "plot", "html"],
      load: declared(
        async () => (await import("./report/report.ts")).declareReport,
        async () => (await import("./report/action.ts")).reportAction,
      ),
    },
  ],
  "Deploy:": [
    {
      name: "convert",
      summary: "write a trained network as integers: ONNX, QONNX, C, torch",
      alsoCalled: ["export", "deploy", "build", "onnx", "compile"],
      load: declared(
        async () => (await import("./convert/convert.ts")).declareConvert,
        async () => (await import("./convert/action.ts")).convertAction,
      ),
    },
  ],
};

/** All commands, in the order of the help. */
export const commandEntries: readonly CommandEntry[] = Object.values(commandGroups).flat();
