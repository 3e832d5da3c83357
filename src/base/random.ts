/**
 * Random numbers that need no saved state: a stream is a pure function of a seed and the keys that name its use.
 *
 * `randomStream(seed, "shuffle", epoch)` gives the same numbers in every call, so a run that is resumed at any
 * step draws what an uninterrupted run would have drawn. The generator is xoroshiro128+ (Blackman and Vigna, 2018, from
 * pure-rand); its 128 bits of state are four MurmurHash3 x86_32 hashes (Appleby, 2008) of the seed and the keys.
 */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import { ConfigError } from "../errors.ts";

/** Where the hash of each 32-bit lane of the state starts: the first digits of pi's fraction. */
const laneSeeds: readonly number[] = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];

/** A key that names a stream next to the seed: text for the purpose, safe integers for epochs, steps and layers. */
export type RandomKey = number | string;

/** A sequence of random numbers, made by {@link randomStream}; drawing advances it. */
export class RandomStream {
  readonly #generator: RandomGenerator;
  #spareNormal: number | undefined;

  constructor(generator: RandomGenerator) {
    this.#generator = generator;
  }

  /** A float64 in [low, high), of 53 random bits. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * uniformFloat64(this.#generator);
  }

  /** A normally distributed float64 (Box and Muller, 1958, the trigonometric form; every second call uses the spare). */
  normal(mean = 0, std = 1): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return mean + std * spare;
    }
    // 1 - u lies in (0, 1], so its logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(this.#generator)));
    const angle = 2 * Math.PI * uniformFloat64(this.#generator);
    this.#spareNormal = radius * Math.sin(angle);
    return mean + std * radius * Math.cos(angle);
  }

  /** An integer in 0..bound-1, every one equally likely. @throws ConfigError unless bound is a positive safe integer. */
  integerBelow(bound: number): number {
    if (!Number.isSafeInteger(bound) || bound < 1) {
      throw new ConfigError(`a random integer needs a positive integer bound, got ${bound}`);
    }
    return uniformInt(this.#generator, 0, bound - 1);
  }

  /** Shuffles in place, every order equally likely (Fisher and Yates), and returns the same array. */
  shuffle(values: Int32Array): Int32Array {
    for (let last = values.length - 1; last > 0; last--) {
      const chosen = uniformInt(this.#generator, 0, last);
      const value = values[last] ?? 0;
      values[last] = values[chosen] ?? 0;
      values[chosen] = value;
    }
    return values;
  }

  /** The integers 0..count-1 in random order. */
  permutation(count: number): Int32Array {
    return this.shuffle(Int32Array.from({ length: count }, (_, index) => index));
  }
}

/**
 * The stream that belongs to this seed and these keys; other seeds, other keys or another order of keys give independent
 * streams, and a number is never the same key as the text that shows it.
 *
 * @example
 * const epoch = 3;
 * console.log(randomStream(7, "shuffle", epoch).permutation(60_000)[0]);
 * @throws ConfigError when the seed or a numeric key is not a safe integer.
 */
export function randomStream(seed: number, ...keys: readonly RandomKey[]): RandomStream {
  const words: number[] = [];
  for (const key of [seed, ...keys]) appendWords(words, key);
  const state: number[] = laneSeeds.map((laneSeed) => murmur3(words, laneSeed));
  // The one state that xoroshiro128+ cannot leave.
  if (!state.some((word) => word !== 0)) state[0] = 1;
  return new RandomStream(xoroshiro128plusFromState(state));
}

/** Appends a key as 32-bit words, with a tag of its kind and, for text, its length, so that no two key lists collide. */
function appendWords(words: number[], key: RandomKey): void {
  if (typeof key === "string") {
    words.push(2, key.length);
    for (let i = 0; i < key.length; i++) words.push(key.charCodeAt(i));
    return;
  }
  if (!Number.isSafeInteger(key)) {
    throw new ConfigError(`a random seed must be an integer between -2^53 and 2^53, got ${key}`, {
      remedy: "Give a whole number, for example --seed 1.",
    });
  }
  words.push(1, key >>> 0, Math.floor(key / 2 ** 32) | 0);
}

/** MurmurHash3 x86_32 of whole 32-bit words, as a signed 32-bit integer. */
function murmur3(words: readonly number[], hashSeed: number): number {
  let hash = hashSeed | 0;
  for (const word of words) {
    let mixed = Math.imul(word, 0xcc9e2d51);
    mixed = (mixed << 15) | (mixed >>> 17);
    hash ^= Math.imul(mixed, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= words.length * 4;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
