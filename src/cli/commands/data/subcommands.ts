/** The commands of `subbyte data`: their actions are loaded when they are called. */

import { Command } from "@commander-js/extra-typings";
import type { NewCommand } from "../../command.ts";
import { declareFetch, declareInfo } from "./data.ts";

/** Declares `subbyte data`. */
export const declareData = (command: NewCommand) => {
  command.description("Download data sets and look at them.");
  const sub = (name: string) => {
    const added: NewCommand = new Command(name);
    command.addCommand(
      added.copyInheritedSettings(command).showHelpAfterError(`  See \`subbyte data ${name} --help\`.`),
    );
    return added;
  };
  declareFetch(sub("fetch")).action(async (name, flags) => (await import("./action.ts")).fetchData(name, flags));
  declareInfo(sub("info")).action(async (name, flags) => (await import("./action.ts")).describeData(name, flags));
  return command;
};
