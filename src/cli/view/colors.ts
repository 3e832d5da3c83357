/** Colours for one stream: only on a terminal, and never against NO_COLOR or --no-color. */

import pc from "picocolors";

/** picocolors' own choice looks at stdout alone; errors go to stderr, which may be a file when stdout is not. */
export function colorsFor(stream: { readonly isTTY?: boolean }): ReturnType<typeof pc.createColors> {
  const { env, argv } = process;
  const refused = Boolean(env.NO_COLOR) || argv.includes("--no-color") || env.TERM === "dumb";
  return pc.createColors(!refused && (Boolean(env.FORCE_COLOR) || stream.isTTY === true));
}
