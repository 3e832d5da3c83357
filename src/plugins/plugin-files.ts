/** The plugin files of this process: their contents, and the absolute paths of those that configurations list. */
import { z } from "zod";

const recordSchema = z.object({
  /** Absolute path. */
  file: z.string(),
  /** Of the file's bytes, in hexadecimal digits. Modules that the file imports are not part of it. */
  sha256: z.string(),
  /** The version that the plugin states. */
  version: z.string().exactOptional(),
});

/** A plugin file as it was when it was loaded. */
export type PluginRecord = Readonly<z.output<typeof recordSchema>>;

/** The records of several files, as runs and studies keep them. */
export const pluginRecordsSchema = z.array(recordSchema);

const files = new Map<string, string>();
const records = new Map<string, PluginRecord>();

const keyOf = (source: string, given: string) => JSON.stringify([source, given]);

/** Records the absolute path of a plugin that the configuration `source` lists as `given`. */
export function rememberPluginFile(source: string, given: string, path: string): void {
  files.set(keyOf(source, given), path);
}

/** Returns the absolute path of a plugin that the configuration `source` lists as `given`; `given` where none was loaded. */
export function pluginFile(source: string, given: string): string {
  return files.get(keyOf(source, given)) ?? given;
}

/** Records the content of a file that was loaded. A module is imported once, so the first content is the one in use. */
export function rememberPluginContent(record: PluginRecord): void {
  if (!records.has(record.file)) records.set(record.file, record);
}

/** Returns what is known of the files of a configuration's `plugins`, in their order. */
export function pluginRecords(paths: readonly string[] = []): PluginRecord[] {
  return paths.flatMap((path) => records.get(path) ?? []);
}
