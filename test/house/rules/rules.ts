/** The rules of the house, each with the list of what still breaks it. */

import { repeatedNames, undocumented } from "./declarations.ts";
import { crowdedFolders, longFiles, sharedPrefixes } from "./folders.ts";
import { recordNameLiterals, recordNameSets } from "./literals.ts";
import { nameTests } from "./name-tests.ts";
import { type Breach, listFiles, openProject, type ParsedFile, type Project, parseText, readText } from "./project.ts";
import { bannedWordsIn, bannedWordsInTitles } from "./words.ts";

/** What the rules look at. */
export interface House {
  readonly project: Project;
  readonly tests: readonly ParsedFile[];
  /** Every file of src/ and test/ by its path. */
  readonly paths: readonly string[];
  /** The texts that people read: src/, docs/, README.md. */
  readonly prose: readonly { readonly path: string; readonly text: string }[];
}

/** One rule: what its list counts, and how breaches are found. */
export interface Rule {
  /** The name of its allow-list. */
  readonly name: string;
  /** The rule as a sentence. */
  readonly says: string;
  readonly find: (house: House) => Breach[];
}

/** Reads and parses the project. */
export function openHouse(): House {
  const tests = listFiles("test").filter((path) => path.endsWith(".ts"));
  const written = [...listFiles("src"), ...listFiles("docs").filter((path) => path.endsWith(".md")), "README.md"];
  return {
    project: openProject(),
    tests: tests.map((path) => parseText(path, readText(path))),
    paths: [...listFiles("src"), ...listFiles("test")],
    prose: written.map((path) => ({ path, text: readText(path) })),
  };
}

export const rules: readonly Rule[] = [
  {
    name: "record-names",
    says: "No name of an operator, quantizer or observer as a literal outside its records: ask the record for a trait.",
    find: ({ project }) => recordNameLiterals(project.files),
  },
  {
    name: "record-name-sets",
    says: "No list, set or table of operators or quantizers outside their records: it is a trait that no record has.",
    find: ({ project }) => recordNameSets(project.files),
  },
  {
    name: "name-tests",
    says: "No test on the name of a node, value, site or state: identity is an id or a link.",
    find: ({ project }) => nameTests(project),
  },
  {
    name: "repeated-names",
    says: "One definition for each concept: no two rooms export the same name.",
    find: ({ project }) => repeatedNames(project.files),
  },
  {
    name: "crowded-folders",
    says: "At most 15 files directly in a folder.",
    find: ({ paths }) => crowdedFolders(paths),
  },
  {
    name: "shared-prefixes",
    says: "A word that three files of a folder begin with is a folder.",
    find: ({ paths }) => sharedPrefixes(paths),
  },
  {
    name: "long-files",
    says: "No file of more than 400 lines.",
    find: ({ project, tests }) =>
      longFiles([...project.files, ...tests].map(({ path, tree }) => ({ path, text: tree.text }))),
  },
  {
    name: "undocumented",
    says: "Every exported declaration has a doc comment.",
    find: ({ project }) => undocumented(project.files),
  },
  {
    name: "words",
    says: "Plain present-day technical English; the words are in test/house/rules/words.ts.",
    find: ({ prose, tests }) => [
      ...prose.flatMap(({ path, text }) => bannedWordsIn(path, text)),
      ...tests.flatMap(bannedWordsInTitles),
    ],
  },
];
