/**
 * The command line as a whole: what is common to all commands, and how their errors become exit codes.
 *
 * Nothing heavy is imported here or in commands/: each command loads its action when it runs, so that `--help` is quick.
 */

import { Command } from "@commander-js/extra-typings";
import { exitCodes } from "../errors.ts";
import { packageVersion } from "../runs/package-version.ts";
import { collect } from "./commands/common.ts";
import { addCompareCommand } from "./commands/compare.ts";
import { addConvertCommand } from "./commands/convert.ts";
import { addDataCommand } from "./commands/data.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDiagnoseCommand } from "./commands/diagnose.ts";
import { addEvalCommand } from "./commands/eval.ts";
import { addExplainCommand } from "./commands/explain.ts";
import { addImportCommand } from "./commands/import.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addMixCommand } from "./commands/mix.ts";
import { addProfileCommand } from "./commands/profile.ts";
import { addReportCommand } from "./commands/report.ts";
import { addStudyCommand } from "./commands/study.ts";
import { addTrainCommand } from "./commands/train.ts";
import { reportError } from "./report-error.ts";
import { colorsFor } from "./view/colors.ts";

const epilogue = `
Examples:
  subbyte demo                                    float, the thread's quantizers, the cure: a minute or two
  subbyte study examples/thread-study.yaml        weight bits against activation bits: the map, why, the cure
  subbyte train --preset lsq --weight-bits 4 --activation-bits 4 --from runs/float
  subbyte train --help                            every flag, with examples

Exit codes:
  ${exitCodes.ok}    all went well
  ${exitCodes.failure}    something failed while running: a damaged file, a full disk, no network
  ${exitCodes.usage}    a flag, an argument or a configuration that cannot be meant
  ${exitCodes.unsupported}    a model or an operator that subbyte cannot do this with
  ${exitCodes.targetMissed}    it ran, but an accuracy that was asked for was not reached
  ${exitCodes.interrupted}  stopped by Ctrl-C, after saving a checkpoint

Results go to stdout, progress and errors to stderr.`;

/** The program with all of its commands. */
export function createProgram() {
  const program = new Command("subbyte")
    .description(
      "Simulate, train, explain and deploy networks whose weights and activations have fewer than eight bits.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .option("--no-color", "print without colours (as does the variable NO_COLOR)")
    .option("--debug", "print the stack of every error")
    .option("--plugin <file>", "load quantizers, observers, presets and operators from a module (repeatable)", collect)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(colorsFor(process.stderr).red(text)) })
    .showHelpAfterError("  Run it with --help for the flags that there are.")
    .exitOverride()
    .addHelpText("after", epilogue);
  program.hook("preAction", async () => {
    const { plugin } = program.opts();
    if (plugin === undefined) return;
    const { loadCommandLinePlugins } = await import("./plugins.ts");
    await loadCommandLinePlugins(plugin);
  });
  addDemoCommand(program);
  addTrainCommand(program);
  addStudyCommand(program);
  addMixCommand(program);
  addReportCommand(program);
  addDiagnoseCommand(program);
  addProfileCommand(program);
  addEvalCommand(program);
  addConvertCommand(program);
  addCompareCommand(program);
  addExplainCommand(program);
  addImportCommand(program);
  addInspectCommand(program);
  addDataCommand(program);
  return program;
}

/** Runs the command line on arguments (without `node` and the script) and returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    return reportError(error, { stream: process.stderr, debug: args.includes("--debug") });
  }
}
