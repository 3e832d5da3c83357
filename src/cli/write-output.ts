/** Files that a command was asked to write: what stood there before is replaced, and that is said. */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type FileContent, writeFileAtomic } from "../io/atomic-file.ts";
import { note } from "./output.ts";

/** Writes files and says which of them existed. @throws InputOutputError naming the file that cannot be written. */
export async function writeOutputs(
  files: readonly { readonly file: string; readonly content: FileContent }[],
): Promise<void> {
  const replaced: string[] = [];
  for (const { file, content } of files) {
    if (existsSync(file)) replaced.push(file);
    await writeFileAtomic(file, content);
  }
  noteReplaced(replaced);
}

/** Says which files a command has replaced, in one line. */
export function noteReplaced(files: readonly string[]): void {
  const [first] = files;
  if (first === undefined) return;
  const names = files.slice(0, 4).map((file) => basename(file));
  const rest = files.length > names.length ? ` and ${files.length - names.length} more` : "";
  const isOne = files.length === 1;
  note(`note: replaced ${isOne ? first : `${files.length} files in ${dirname(first)}: ${names.join(", ")}${rest}`}`);
}
