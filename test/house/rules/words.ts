/** Words of a private dialect, for which the field has better ones. */

import ts from "typescript";
import { type Breach, descendants, type ParsedFile } from "./project.ts";

/** A pattern over plain words (identifiers are split at their humps), and what to write instead. */
interface BannedWord {
  readonly pattern: RegExp;
  readonly instead: string;
}

const bannedWords: readonly BannedWord[] = [
  { pattern: /\bpatients?\b/g, instead: "failing trial" },
  { pattern: /\bcure[sd]?\b|\bcuring\b/g, instead: "fix, remedy" },
  { pattern: /\bneedless(ly)?\b/g, instead: "redundant" },
  { pattern: /\bsure of\b|% sure\b|\bpercent sure\b/g, instead: "confidence 97 %" },
  { pattern: /\bspeaks? (for|against)\b/g, instead: "supports, contradicts" },
  { pattern: /\bhopeless\b/g, instead: "stop early" },
  { pattern: /\bgo(es)? on with\b/g, instead: "resume, continue" },
  { pattern: /\bcannot be meant\b/g, instead: "invalid" },
  { pattern: /\brivals?\b/g, instead: "uniform baseline" },
  { pattern: /\bcomparands?\b/g, instead: "compared model" },
  { pattern: /\bpictures?\b/g, instead: "image" },
  { pattern: /\bnoise ratio\b/g, instead: "SQNR" },
  { pattern: /\blate readers?\b/g, instead: "write-after-read hazard" },
  { pattern: /\bunreturned\b/g, instead: "skipOutputCopy" },
  { pattern: /\bjudges?\b/g, instead: "early stopping; reference interpreter" },
  { pattern: /\bno dearer\b|\bdearer\b/g, instead: "costs no more" },
  { pattern: /\banew\b/g, instead: "again, from scratch" },
  { pattern: /\bmend(s|ed|ing)?\b/g, instead: "repair, correct" },
  { pattern: /\bbeside\b/g, instead: "next to" },
  { pattern: /\bso many\b/g, instead: "the number" },
  { pattern: /\bwhoever\b/g, instead: "a program that, a user who" },
  { pattern: /\btold\b/g, instead: "is given, receives, is notified, is detected" },
  { pattern: /\bhears? of\b/g, instead: "is notified of" },
  { pattern: /\bjudg(ed|ing)\b/g, instead: "evaluated, compared" },
  { pattern: /\bg(o|oes|oing|one) on\b/g, instead: "continue, resume" },
  { pattern: /\bbeg[iu]ns? again\b/g, instead: "restart" },
  { pattern: /\bg(ive|ives|iven|iving|ave) up\b/g, instead: "stop early, abort" },
  { pattern: /\bhand(s|ed|ing)? on\b/g, instead: "pass on" },
  { pattern: /\bheld fast\b/g, instead: "frozen" },
  { pattern: /\bmeant\b/g, instead: "did-you-mean suggestion; legalized, lowered; intended" },
  { pattern: /\bfree ends?\b/g, instead: "first and last layer included" },
  { pattern: /\bunread\b/g, instead: "unused" },
  { pattern: /\bvanish(es|ed|ing)?\b/g, instead: "end, disappear" },
  { pattern: /\btak(e|es|en|ing) apart\b/g, instead: "decompose" },
  { pattern: /\bworked out\b/g, instead: "computed, resolved" },
];

/** Patterns over the text as it stands, where case matters. */
const bannedSpellings: readonly BannedWord[] = [
  { pattern: /\basWritten\b/g, instead: "disableGraphRewrites" },
  { pattern: /\b\d+W\d+A\b/g, instead: "W4A4" },
];

/** Matches a line that any of these words is in: most lines have none, and one pattern is faster than all one by one. */
function anyOf(words: readonly BannedWord[]): RegExp {
  return new RegExp(words.map(({ pattern }) => `(?:${pattern.source})`).join("|"));
}

const anyWord = anyOf(bannedWords);
const anySpelling = anyOf(bannedSpellings);

/** The flag that stays as an alias. */
const alias = /--cure\b/g;

/** The file of the former names that are still read: it has to spell them. */
const formerNamesFile = "src/config/former-names.ts";

/** A text in which identifiers are words: `asWritten` reads "as written". */
function plainWords(text: string): string {
  return text
    .replaceAll(alias, "--fix")
    .replaceAll(/([a-z\d])([A-Z])/g, "$1 $2")
    .toLowerCase();
}

/** The banned words in a text, by line. */
export function bannedWordsIn(path: string, text: string): Breach[] {
  if (path === formerNamesFile) return [];
  return text.split("\n").flatMap((line, index) => {
    const find = (words: readonly BannedWord[], any: RegExp, searched: string) =>
      !any.test(searched)
        ? []
        : words.flatMap(({ pattern, instead }) =>
            [...searched.matchAll(pattern)].map(([word]) => ({
              key: path,
              text: `${path}:${index + 1}: "${word}", better: ${instead}`,
            })),
          );
    return [...find(bannedWords, anyWord, plainWords(line)), ...find(bannedSpellings, anySpelling, line)];
  });
}

/** The banned words in the titles of a file's tests: the first argument of describe, it and test. */
export function bannedWordsInTitles(file: ParsedFile): Breach[] {
  return [...descendants(file.tree)].flatMap((node) => {
    if (!ts.isCallExpression(node)) return [];
    const [title] = node.arguments;
    const called = /^(describe|it|test)\b/.test(node.expression.getText(file.tree));
    return called && title !== undefined && ts.isStringLiteralLike(title) ? bannedWordsIn(file.path, title.text) : [];
  });
}
