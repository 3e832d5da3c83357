/** The word that a mistyped one is nearest to, for the errors that ask "Did you mean …?". */
import { distance } from "fastest-levenshtein";

/** The word nearest to a mistyped one, or undefined when none is near enough to be meant. */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, "");
  const ranked = words.map((candidate) => ({ candidate, cost: distance(plain(word), plain(candidate)) }));
  ranked.sort((a, b) => a.cost - b.cost);
  const best = ranked[0];
  return best !== undefined && best.cost <= Math.max(2, Math.ceil(word.length / 3)) ? best.candidate : undefined;
}
