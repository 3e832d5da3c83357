/** Loads the plugins that a configuration lists under `plugins`. */
import { dirname, isAbsolute, resolve } from "node:path";
import { z } from "zod";
import { loadPluginFile } from "../plugins/load.ts";
import { rememberPluginFile } from "../plugins/plugin-files.ts";
import { type ConfigSource, parseSource } from "./source.ts";

/** Any key besides `plugins` is the configuration's own business. */
const listing = z.looseObject({ plugins: z.array(z.string().min(1)) });

/**
 * Loads the plugins that a configuration lists. A list that is no list of files loads nothing: its errors are reported when the
 * configuration is resolved.
 *
 * @param source The text and its name; relative plugin paths resolve against the folder of the file of that name.
 * @throws PluginError for a file that cannot be loaded, ConfigError for text that is not YAML.
 */
export async function loadPluginsOf(source: ConfigSource): Promise<void> {
  const content = listing.safeParse(parseSource(source).root);
  if (!content.success) return;
  for (const given of content.data.plugins) {
    const path = isAbsolute(given) ? given : resolve(dirname(source.name), given);
    rememberPluginFile(source.name, given, await loadPluginFile(path));
  }
}
