/** Names in the flags and files of earlier versions that are still read, and keys of files that never change. */

/** Former names by what they are called now. */
export const formerNames = {
  /** `data.kind: images`. */
  images: "pictures",
  /** The key `fix` of a study, and the folder `fix/`. */
  fix: "cure",
  fixFile: "cure.json",
  /** The end of the name of a recipe with its fixes, `-fixed`. */
  fixedSuffix: "-cured",
  /** Keys of fix.json. */
  fixes: "cures",
  redundant: "needless",
  subsumedBy: "partOf",
} as const;

/** Keys of diagnosis.jsonl that differ from the names in code. */
export const diagnosisFileKeys = {
  sqnr: "noiseRatio",
  optimalSqnr: "optimalNoiseRatio",
  smallerSqnr: "smallerNoiseRatio",
} as const;
