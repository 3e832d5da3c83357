/**
 * Masked tokens, as BERT has them: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
 * Understanding" (arXiv 1810.04805), section 3.1 and appendix C.2: 15 % of the tokens of a sequence, at least one, are to be
 * predicted; of these 80 % become the mask token, 10 % a random one, and 10 % stay.
 */
import type { RandomStream } from "../../base/random.ts";
import { ignoredLabel } from "../dataset/dataset.ts";

/** How tokens are masked. */
export interface Masking {
  readonly maskToken: number;
  /** Tokens to draw random ones from: 0 to vocabulary - 1. */
  readonly vocabulary: number;
  /** Tokens that are never masked: those of the tokenizer's own, such as the start and the padding. */
  readonly special: ReadonlySet<number>;
  /** Share of the tokens to predict, above 0 and up to 1. */
  readonly share: number;
}

/** Share of the chosen tokens that become the mask token, and a random one. */
const [maskedShare, randomShare] = [0.8, 0.1];

/**
 * Masks one sequence in place.
 *
 * @param tokens Become those that the network reads.
 * @param labels Become the tokens to predict, {@link ignoredLabel} elsewhere.
 * @param isRead Whether the network reads a position: 0 for padding. Absent: all.
 */
export function maskTokens(
  tokens: { [index: number]: number; readonly length: number },
  labels: Int32Array,
  { maskToken, vocabulary, special, share }: Masking,
  random: RandomStream,
  isRead?: ArrayLike<number>,
): void {
  const candidates: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    labels[i] = ignoredLabel;
    if (!special.has(tokens[i] ?? 0) && isRead?.[i] !== 0) candidates.push(i);
  }
  if (candidates.length === 0) return;
  const wanted = Math.min(candidates.length, Math.max(1, Math.round(share * candidates.length)));
  const order = random.permutation(candidates.length);
  for (let k = 0; k < wanted; k++) {
    const place = candidates[order[k] ?? 0] ?? 0;
    labels[place] = tokens[place] ?? 0;
    const chance = random.uniform();
    if (chance < maskedShare) tokens[place] = maskToken;
    else if (chance < maskedShare + randomShare) tokens[place] = random.integerBelow(vocabulary);
  }
}
