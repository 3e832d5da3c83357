/** The size of files and folders. */

import { type Breach, groupBy } from "./project.ts";

const mostFiles = 15;
const mostLines = 400;
const prefixFiles = 3;

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Files beyond the fifteenth that lie directly in a folder, by folder. */
export function crowdedFolders(paths: readonly string[]): Breach[] {
  return [...groupBy(paths, folderOf)].flatMap(([folder, files]) =>
    files.slice(mostFiles).map((file) => ({ key: `${folder}/`, text: `${file}, of ${files.length} files` })),
  );
}

/** Files of one folder whose names begin with the same word, where there are at least three: a folder not yet made. */
export function sharedPrefixes(paths: readonly string[]): Breach[] {
  const prefixOf = (path: string) => `${folderOf(path)}/${/^[^-.]*/.exec(path.slice(path.lastIndexOf("/") + 1))?.[0]}-`;
  return [...groupBy(paths, prefixOf)].flatMap(([key, files]) =>
    files.length < prefixFiles ? [] : files.map((text) => ({ key, text })),
  );
}

/** Files of more than 400 lines. */
export function longFiles(files: readonly { readonly path: string; readonly text: string }[]): Breach[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.split("\n").length - 1;
    return lines <= mostLines ? [] : [{ key: path, text: `${path}: ${lines} lines` }];
  });
}
