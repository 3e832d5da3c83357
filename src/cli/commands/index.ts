/**
 * The commands by group, in the order of the help. A new command is a file that exports `declare…` and one line here.
 *
 * A command's file is loaded when the command is called, so that `subbyte --help` loads none of them.
 */

import type { CommandUnknownOpts } from "@commander-js/extra-typings";
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
  /** Loads the command's file; the function gives the command its arguments, flags, help and action. */
  readonly load: () => Promise<(command: NewCommand) => CommandUnknownOpts>;
}

/** The commands in the groups and the order of the help. Adding a command is adding its file and a line here. */
export const commandGroups: Readonly<Record<string, readonly CommandEntry[]>> = {
  "Start:": [
    {
      name: "demo",
      summary: "see in a minute or two how 4 bits break a network, and a fix",
      alsoCalled: ["init", "quickstart", "example"],
      load: async () => (await import("./demo.ts")).declareDemo,
    },
    {
      name: "data",
      summary: "download data sets and look at them",
      alsoCalled: ["dataset", "download", "fetch"],
      load: async () => (await import("./data.ts")).declareData,
    },
  ],
  "Look:": [
    {
      name: "inspect",
      summary: "layers, size and compute of a model, and which layers can be quantized",
      alsoCalled: ["info", "show", "ls", "list", "summary"],
      load: async () => (await import("./inspect.ts")).declareInspect,
    },
    {
      name: "import",
      summary: "read an ONNX model, simplify it and list what can be trained",
      alsoCalled: ["load", "simplify"],
      load: async () => (await import("./import.ts")).declareImport,
    },
    {
      name: "explain",
      summary: "the levels that a quantization configuration really gives",
      alsoCalled: ["check", "lint", "qconfig"],
      load: async () => (await import("./explain/explain.ts")).declareExplain,
    },
  ],
  "Train:": [
    {
      name: "train",
      summary: "train a network in float or with quantizers",
      alsoCalled: ["fit", "finetune", "qat", "quantize", "resume"],
      load: async () => (await import("./train.ts")).declareTrain,
    },
    {
      name: "study",
      summary: "map the accuracy over weight bits and activation bits",
      alsoCalled: ["sweep", "grid", "search", "fix", formerNames.fix],
      renamedFlags: { "--cure": "--fix" },
      load: async () => (await import("./study/study.ts")).declareStudy,
    },
    {
      name: "mix",
      summary: "choose bit widths per layer for a budget",
      alsoCalled: ["mixed", "budget", "allocate"],
      renamedFlags: { "--free-ends": "--first-and-last" },
      load: async () => (await import("./mix/mix.ts")).declareMix,
    },
  ],
  "Understand:": [
    {
      name: "eval",
      summary: "measure the accuracy of a trained network",
      alsoCalled: ["test", "val", "validate", "evaluate", "accuracy"],
      load: async () => (await import("./eval.ts")).declareEval,
    },
    {
      name: "diagnose",
      summary: "find out why a run loses accuracy, and how to fix it",
      alsoCalled: ["doctor", "why", "debug", "analyze"],
      load: async () => (await import("./diagnose.ts")).declareDiagnose,
    },
    {
      name: "compare",
      summary: "measure how far two models differ, and from which layer on",
      alsoCalled: ["diff"],
      load: async () => (await import("./compare/compare.ts")).declareCompare,
    },
    {
      name: "profile",
      summary: "show where the time of a training step goes",
      alsoCalled: ["benchmark", "bench", "time"],
      load: async () => (await import("./profile.ts")).declareProfile,
    },
    {
      name: "report",
      summary: "write the HTML report of a study or a run",
      alsoCalled: ["open", "ui", "view", "plot", "html"],
      load: async () => (await import("./report.ts")).declareReport,
    },
  ],
  "Deploy:": [
    {
      name: "convert",
      summary: "write a trained network as integers: ONNX, QONNX, C, torch",
      alsoCalled: ["export", "deploy", "build", "onnx", "compile"],
      load: async () => (await import("./convert/convert.ts")).declareConvert,
    },
  ],
};

/** All commands, in the order of the help. */
export const commandEntries: readonly CommandEntry[] = Object.values(commandGroups).flat();
