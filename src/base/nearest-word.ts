/** The word nearest to a mistyped one, for did-you-mean suggestions. */
import { distance } from "fastest-levenshtein";

/** Returns the word nearest to a mistyped one; undefined when none is near enough. */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, "");
  const ranked = words.map((candidate) => ({ candidate, cost: distance(plain(word), plain(candidate)) }));
  ranked.sort((a, b) => a.cost - b.cost);
  const best = ranked[0];
  return best !== undefined && best.cost <= Math.max(2, Math.ceil(word.length / 3)) ? best.candidate : undefined;
}

/** Returns the question that proposes the nearest word; undefined when none is near enough. */
export function didYouMean(word: string, words: readonly string[]): string | undefined {
  const nearest = nearestWord(word, words);
  return nearest === undefined ? undefined : `Did you mean ${nearest}?`;
}
