/** Loads plugins from files. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { defined } from "../base/defined.ts";
import { PluginError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
import { acceptPlugin } from "./changes.ts";
import { type Plugin, registerPlugin } from "./plugin.ts";
import { rememberPluginContent } from "./plugin-files.ts";

function isPlugin(value: unknown): value is Plugin {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}

const lists = ["operators", "quantizers", "observers"] as const;
const known: ReadonlySet<string> = new Set(["name", "version", "presets", ...lists]);

function checkShape(plugin: Plugin, where: string): void {
  for (const key of Object.keys(plugin)) {
    if (known.has(key)) continue;
    throw new PluginError(`unknown key ${key}`, { where, remedy: `A plugin has the keys ${[...known].join(", ")}.` });
  }
  if (plugin.version !== undefined && typeof plugin.version !== "string") {
    throw new PluginError("version is not a text", { where, remedy: 'Write for example version: "1.2.0".' });
  }
  for (const key of lists) {
    if (plugin[key] === undefined || Array.isArray(plugin[key])) continue;
    throw new PluginError(`${key} is not a list`, { where, remedy: `Write ${key}: [definition, …].` });
  }
}

/**
 * Imports a JavaScript module whose default export is a {@link Plugin}, and registers it in this process. A run that was trained
 * with another content of the file may then be read: loading a file by its name accepts it as it is.
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
  const path = await loadPluginFile(file);
  acceptPlugin(path);
  return path;
}

/** Loads a plugin as {@link loadPlugin} does, but accepts no change of the file since a run was trained with it. */
export async function loadPluginFile(file: string): Promise<string> {
  const path = resolve(file);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
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
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  rememberPluginContent({ file: path, sha256, ...defined({ version: plugin.version }) });
  return path;
}
