/**
 * Plugin files that changed since a run was trained with them. A changed quantizer gives other numbers with the same weights, so
 * a changed file is an error until somebody names it.
 */
import { PluginError } from "../errors.ts";
import type { PluginRecord } from "./plugin-files.ts";

/** Called with one sentence about a changed file that is used because somebody named it. */
export type PluginChangeListener = (sentence: string) => void;

const accepted = new Map<string, PluginChangeListener>();

/** Accepts a file with whatever it holds now. */
export function acceptPlugin(file: string, onChange: PluginChangeListener = () => undefined): void {
  accepted.set(file, onChange);
}

/** A plugin file with another content than a record says. */
export interface PluginChange {
  readonly file: string;
  /** Both contents, in words. */
  readonly contents: string;
}

/** Returns the files that are loaded now and differ from those of a record. A file may have moved. */
export function pluginChanges(recorded: readonly PluginRecord[], present: readonly PluginRecord[]): PluginChange[] {
  const contents = new Set(present.map(({ sha256 }) => sha256));
  return recorded.flatMap((before, index) => {
    if (contents.has(before.sha256)) return [];
    const now = present.find(({ file }) => file === before.file) ?? present[index];
    return now === undefined ? [] : [{ file: now.file, contents: `${shown(before)} then, ${shown(now)} now` }];
  });
}

/**
 * Compares the plugin files that a run was trained with and those that are loaded now.
 *
 * @param run What holds the record: the run's folder or a checkpoint.
 * @throws PluginError for a file whose content is another one, unless {@link acceptPlugin} named it.
 */
export function checkPlugins(recorded: readonly PluginRecord[], present: readonly PluginRecord[], run: string): void {
  for (const { file, contents } of pluginChanges(recorded, present)) {
    const onChange = accepted.get(file);
    if (onChange === undefined) {
      throw new PluginError(`the plugin is not the file that ${run} was trained with: ${contents}`, {
        where: file,
        remedy: `Restore the file of that time. To use it as it is now, name it: --plugin ${file}`,
      });
    }
    onChange(`the plugin ${file} is not the file that ${run} was trained with (${contents}); it is used as it is now`);
  }
}

function shown({ sha256, version }: PluginRecord): string {
  return `${version === undefined ? "" : `version ${version}, `}sha256 ${sha256.slice(0, 16)}`;
}
