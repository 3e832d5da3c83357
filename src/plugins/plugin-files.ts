/** The files of a configuration's plugins, so that a resolved configuration names them by absolute paths. */

const files = new Map<string, string>();

const keyOf = (source: string, given: string) => JSON.stringify([source, given]);

/** Records the absolute path of a plugin that the configuration `source` lists as `given`. */
export function rememberPluginFile(source: string, given: string, path: string): void {
  files.set(keyOf(source, given), path);
}

/** Returns the absolute path of a plugin that the configuration `source` lists as `given`; `given` where none was loaded. */
export function pluginFile(source: string, given: string): string {
  return files.get(keyOf(source, given)) ?? given;
}
