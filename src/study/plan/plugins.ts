/** The plugin files of a study: a study compares its trainings, so all of them have the same ones. */
import { PluginError } from "../../errors.ts";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { pluginChanges } from "../../plugins/changes.ts";
import { pluginRecords, pluginRecordsSchema } from "../../plugins/plugin-files.ts";
import { readJson } from "../../runs/record.ts";
import type { StudyPaths } from "./folder.ts";
import type { StudyConfig } from "./schema.ts";

/**
 * Records the plugin files that a study runs with, the first time, and compares them with the record after that.
 *
 * @throws PluginError for a file that changed since the study was started.
 */
export async function keepPlugins(paths: StudyPaths, { plugins }: StudyConfig): Promise<void> {
  if (plugins === undefined) return;
  const present = pluginRecords(plugins);
  const recorded = await readJson(paths.plugins, pluginRecordsSchema);
  if (recorded === undefined) {
    await writeFileAtomic(paths.plugins, `${JSON.stringify(present, undefined, 2)}\n`);
    return;
  }
  for (const { file, contents } of pluginChanges(recorded, present)) {
    throw new PluginError(`the plugin is not the file that the study was started with: ${contents}`, {
      where: file,
      remedy: `Restore the file of that time to resume ${paths.folder}, or start a new study with --out.`,
    });
  }
}
