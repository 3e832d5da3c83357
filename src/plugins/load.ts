/** Loads plugins from files: those that a configuration lists under `plugins`, and those of `--plugin`. */
import { access } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseDocument } from "yaml";
import { z } from "zod";
import { PluginError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
import { type Plugin, registerPlugin } from "./plugin.ts";
import { rememberPluginFile } from "./plugin-files.ts";

function isPlugin(value: unknown): value is Plugin {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}

const lists = ["operators", "quantizers", "observers"] as const;
const known: ReadonlySet<string> = new Set(["name", "presets", ...lists]);

function checkShape(plugin: Plugin, where: string): void {
  for (const key of Object.keys(plugin)) {
    if (known.has(key)) continue;
    throw new PluginError(`unknown key ${key}`, { where, remedy: `A plugin has the keys ${[...known].join(", ")}.` });
  }
  for (const key of lists) {
    if (plugin[key] === undefined || Array.isArray(plugin[key])) continue;
    throw new PluginError(`${key} is not a list`, { where, remedy: `Write ${key}: [definition, …].` });
  }
}

/**
 * Imports a JavaScript module whose default export is a {@link Plugin}, and registers it in this process.
 *
 * @param file A path; relative paths resolve against the working folder.
 * @returns The absolute path.
 * @throws PluginError when the file is missing, fails to import, or exports no plugin.
 *
 * @example
 * await writeFile("mine.mjs", 'export default { name: "mine", quantizers: [] };');
 * console.log(await loadPlugin("mine.mjs")); // the absolute path
 */
export async function loadPlugin(file: string): Promise<string> {
  const path = resolve(file);
  try {
    await access(path);
  } catch (cause) {
    throw new PluginError(`the plugin cannot be read: ${describeSystemError(cause).reason}`, {
      where: file,
      remedy: "Give the path of a JavaScript module whose default export is a plugin.",
      cause,
    });
  }
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(path).href);
  } catch (cause) {
    throw new PluginError(`the plugin cannot be imported: ${cause instanceof Error ? cause.message : String(cause)}`, {
      where: file,
      remedy: "Repair the module: `node FILE` shows the same error with its position.",
      cause,
    });
  }
  const plugin = module.default;
  if (!isPlugin(plugin)) {
    throw new PluginError("the module has no plugin as its default export", {
      where: file,
      remedy: 'Write for example `export default { name: "mine", quantizers: [myQuantizer] };`.',
    });
  }
  checkShape(plugin, file);
  registerPlugin(plugin);
  return path;
}

/** Any key besides `plugins` is the configuration's own business. */
const listing = z.looseObject({ plugins: z.array(z.string().min(1)) });

/**
 * Loads the plugins that a configuration's text lists. A text that is no valid configuration loads nothing: its errors are
 * reported when it is resolved.
 *
 * @param source The text and its name; relative plugin paths resolve against the folder of the file of that name.
 * @throws PluginError as {@link loadPlugin} does.
 */
export async function loadPluginsOf(source: { readonly name: string; readonly text: string }): Promise<void> {
  const document = parseDocument(source.text);
  if (document.errors.length > 0 || !document.has("plugins")) return;
  const content = listing.safeParse({ plugins: plainList(document.get("plugins")) });
  if (!content.success) return;
  for (const given of content.data.plugins) {
    const path = isAbsolute(given) ? given : resolve(dirname(source.name), given);
    rememberPluginFile(source.name, given, await loadPlugin(path));
  }
}

function plainList(node: unknown): unknown {
  return typeof node === "object" && node !== null && "toJSON" in node && typeof node.toJSON === "function"
    ? node.toJSON()
    : node;
}
