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

/**
 * Compares the plugin files that a run was trained with and those that are loaded now.
 *
 * @param run What holds the record: the run's folder or a checkpoint.
 * @throws PluginError for a file whose content is another one, unless {@link acceptPlugin} named it.
 */
export function checkPlugins(recorded: readonly PluginRecord[], present: readonly PluginRecord[], run: string): void {
  const contents = new Set(present.map(({ sha256 }) => sha256));
  recorded.forEach((before, index) => {
    if (contents.has(before.sha256)) return;
    const now = present.find(({ file }) => file === before.file) ?? present[index];
    if (now === undefined) return;
    const change = `${shown(before)} then, ${shown(now)} now`;
    const onChange = accepted.get(now.file);
    if (onChange === undefined) {
      throw new PluginError(`the plugin is not the file that ${run} was trained with: ${change}`, {
        where: now.file,
        remedy: `Restore the file of that time. To use it as it is now, name it: --plugin ${now.file}`,
      });
    }
    onChange(
      `the plugin ${now.file} is not the file that ${run} was trained with (${change}); it is used as it is now`,
    );
  });
}

function shown({ sha256, version }: PluginRecord): string {
  return `${version === undefined ? "" : `version ${version}, `}sha256 ${sha256.slice(0, 16)}`;
}
