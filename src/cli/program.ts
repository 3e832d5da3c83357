/** The command line as a whole: what is common to all commands, and how their errors become exit codes. */

import { Command } from "@commander-js/extra-typings";
import { nearestWord } from "../base/nearest-word.ts";
import { exitCodes } from "../errors.ts";
import { packageVersion } from "../runs/package-version.ts";
import type { NewCommand } from "./command.ts";
import { type CommandEntry, commandEntries, commandGroups } from "./commands/index.ts";
import { collect } from "./flag-values.ts";
import { checkGivenPaths } from "./given-paths.ts";
import { note } from "./output.ts";
import { reportError } from "./report-error.ts";
import { colorsFor } from "./view/colors.ts";
import { printable, printableLine } from "./view/printable.ts";

const epilogue = `
Examples:
  subbyte demo                                    how 4 bits break a network, and a fix: a minute or two
  subbyte study examples/thread-study.yaml        accuracy at 15 pairs of bits, the causes, the fixes
  subbyte train --preset lsq --weight-bits 4 --activation-bits 4 --from runs/float
  subbyte train --help                            every flag, with examples

Exit codes:
  ${exitCodes.ok}    success
  ${exitCodes.failure}    failure while running: damaged file, full disk, no network, a run stopped by --stop-on-fault
  ${exitCodes.usage}    invalid flag, argument or configuration
  ${exitCodes.unsupported}    unsupported model or operator
  ${exitCodes.targetMissed}    a requested accuracy was not reached
  ${exitCodes.hungUp}  the terminal was lost (SIGHUP); a training saved its checkpoint
  ${exitCodes.interrupted}  stopped by Ctrl-C (SIGINT), after saving a checkpoint
  ${exitCodes.terminated}  asked to end (SIGTERM), after saving a checkpoint

Results go to stdout, progress and errors to stderr.`;

/** Returns the program with all of its commands, none of them loaded. */
export function createProgram(): Program {
  const program = emptyProgram();
  program.hook("preAction", async (_program, called) => {
    const flags: Record<string, unknown> = { ...program.opts(), ...called.opts() };
    await checkGivenPaths(called.args, flags);
    const { plugin } = program.opts();
    if (plugin === undefined) return;
    const { loadCommandLinePlugins } = await import("./plugins.ts");
    await loadCommandLinePlugins(plugin);
  });
  for (const [heading, entries] of Object.entries(commandGroups)) {
    for (const entry of entries) addCommand(program, entry, heading);
  }
  program.on("command:*", ([word = ""]: readonly string[]) => {
    const name = suggestedCommand(word);
    program.error(`error: unknown command '${word}'${name === undefined ? "" : `\n(Did you mean ${name}?)`}`);
  });
  return program;
}

type Program = ReturnType<typeof emptyProgram>;

function emptyProgram() {
  return new Command("subbyte")
    .description(
      "Simulate, train, explain and deploy networks whose weights and activations have fewer than eight bits.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .option("--no-color", "print without colours (as with the variable NO_COLOR)")
    .option("--debug", "print the stack of every error")
    .option("--plugin <file>", "load quantizers, observers, presets and operators from a module (repeatable)", collect)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) => write(colorsFor(process.stderr).red(printableError(text))),
    })
    .exitOverride()
    .addHelpText("after", epilogue);
}

/** Adds a command by name. Its declaration is loaded, and gives the rest, when the command is called. */
function addCommand(program: Program, entry: CommandEntry, heading: string): void {
  const command: NewCommand = new Command(entry.name);
  command
    .copyInheritedSettings(program)
    .summary(entry.summary)
    .helpGroup(heading)
    .showHelpAfterError(`  See \`subbyte ${entry.name} --help\`.`);
  program.addCommand(command);
  program.hook("preSubcommand", async (_program, called) => {
    if (called.name() === entry.name) (await entry.load())(command);
  });
}

/** Returns the command to suggest for a word: one that is also called so, or whose name is spelled almost like it. */
function suggestedCommand(word: string): string | undefined {
  const names = new Map(
    commandEntries.flatMap(({ name, alsoCalled = [] }) => [name, ...alsoCalled].map((other) => [other, name] as const)),
  );
  // A word of two letters is near to every other one.
  const longNames = [...names.keys()].filter((name) => name.length > 3);
  const near = nearestWord(word, longNames);
  return names.get(word) ?? (word.length > 2 && near !== undefined ? names.get(near) : undefined);
}

/** A message of commander quotes the user's words. Only the line break before its suggestion is its own. */
function printableError(text: string): string {
  const [, message = "", hint = ""] = /^(.*?)(\n\(Did you mean [^\n]*)?\n?$/s.exec(text) ?? [];
  return `${printableLine(message)}${printable(hint)}\n`;
}

/** Runs the command line on arguments (without `node` and the script) and returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(withPresentNames(args), { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    return reportError(error, { stream: process.stderr, debug: args.includes("--debug") });
  }
}

/** The arguments with `help train` as `train --help`, and with flags of earlier versions under their present names. */
function withPresentNames(args: readonly string[]): string[] {
  if (args[0] === "help") return [...args.slice(1), "--help"];
  const renamed = commandEntries.find(({ name }) => args.includes(name))?.renamedFlags ?? {};
  return args.map((arg) => {
    const [flag = "", value] = arg.split(/=(.*)/s);
    const present = Object.hasOwn(renamed, flag) ? renamed[flag] : undefined;
    if (present === undefined) return arg;
    note(`note: ${flag} is now called ${present}`);
    return value === undefined ? present : `${present}=${value}`;
  });
}
