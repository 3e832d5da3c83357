/** The type of a command's flags, as its declaration gives them. */

import type { Command } from "@commander-js/extra-typings";

/** A command that has a name and nothing else yet. */
export type NewCommand = Command;

/**
 * The flags of a declaration, defaults filled in.
 *
 * @example
 * const declare = (command: NewCommand) => command.option("--limit <n>", "use only the first N images", atLeast(1));
 * type Flags = FlagsOf<typeof declare>; // { limit?: number }
 */
export type FlagsOf<Declare extends (command: NewCommand) => { opts(): unknown }> = ReturnType<
  ReturnType<Declare>["opts"]
>;
