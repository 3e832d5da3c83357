/** The part of a data set that the name of a file, folder or array implies: `train_images`, `valSet`, `test2017`. */

/** A part of a data set by its purpose. */
export type PartName = "train" | "validation" | "test";

const partWords: ReadonlyMap<string, PartName> = new Map([
  ["train", "train"],
  ["training", "train"],
  ["val", "validation"],
  ["valid", "validation"],
  ["validation", "validation"],
  ["validate", "validation"],
  ["dev", "validation"],
  ["eval", "validation"],
  ["evaluation", "validation"],
  ["holdout", "validation"],
  ["test", "test"],
  ["testing", "test"],
]);
/** Words next to a part that say nothing more: `training set`. */
const fillers: readonly string[] = ["set", "split", "part", "data", "dataset", "images", "image", "imgs", "img"];

/** The words of a name in lower case, split at other characters and before capitals: `trainSet2` is `train`, `set2`. */
export function wordsOf(name: string): readonly string[] {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .flatMap(compoundWords)
    .filter((word) => word !== "");
}

/** `xtrain`, `trainset` and `testx` are two words. */
function compoundWords(word: string): readonly string[] {
  const [, before = "", part = "", after = ""] = /^([xy]?)(train|val|valid|test)([xy]|set)?$/.exec(word) ?? [];
  return part === "" ? [word] : [part, before, after];
}

/** The part that a name implies; undefined when it contains the words of none or of several. */
export function partOfName(name: string): PartName | undefined {
  const found = new Set(lettersOf(name).flatMap((word) => partWords.get(word) ?? []));
  const [part] = found;
  return found.size === 1 ? part : undefined;
}

/** Whether a word is that of a part. */
export function isPartWord(word: string): boolean {
  return partWords.has(word.replace(/\d+/g, ""));
}

/** Whether a name says nothing but a part: `training_set`, and not `train_station`. */
export function isOnlyPartName(name: string): boolean {
  return (
    partOfName(name) !== undefined && lettersOf(name).every((word) => partWords.has(word) || fillers.includes(word))
  );
}

/** The words without their numbers: `train2017` is `train`. */
function lettersOf(name: string): readonly string[] {
  return wordsOf(name)
    .map((word) => word.replace(/\d+/g, ""))
    .filter((word) => word !== "");
}
