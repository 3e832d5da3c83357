/** The plugins of `--plugin`: loaded before any command runs, and written into the configurations that it makes. */
import type { ConfigOverride } from "../config/source.ts";
import { acceptPlugin } from "../plugins/changes.ts";
import { loadPluginFile } from "../plugins/load.ts";
import { note } from "./output.ts";

let files: readonly string[] = [];

/** Loads the modules that `--plugin` names, with whatever they hold now. @throws PluginError for a file that is no plugin. */
export async function loadCommandLinePlugins(given: readonly string[]): Promise<void> {
  const loaded: string[] = [];
  for (const file of given) {
    const path = await loadPluginFile(file);
    acceptPlugin(path, (sentence) => note(`note: ${sentence}`));
    loaded.push(path);
  }
  files = loaded;
}

/** Returns the override that lists the plugins of the command line in a configuration; none where there are none. */
export function pluginOverrides(): ConfigOverride[] {
  return files.length === 0 ? [] : [{ path: "plugins", value: files, origin: "--plugin" }];
}
