/**
 * Tokenizers of Hugging Face: `tokenizer.json`, executed by their own package @huggingface/tokenizers (plain JavaScript, no
 * dependencies). It is loaded by name when a tokenizer is opened, so that other programs neither load nor need it.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { defined } from "../../../base/defined.ts";
import { FileFormatError, InputOutputError, UnsupportedError } from "../../../errors.ts";
import { describeSystemError } from "../../../io/system-error.ts";

/** What is used of the package. */
interface PackagedTokenizer {
  encode(text: string, options: EncodeOptions): Encoded;
  token_to_id(token: string): number | undefined;
  get_vocab(withAdded: boolean): Map<string, number>;
  get_added_tokens_decoder(): Map<number, { readonly special?: boolean }>;
}

interface EncodeOptions {
  readonly text_pair?: string | null;
  readonly add_special_tokens?: boolean;
  readonly return_token_type_ids: true;
}

interface Encoded {
  readonly ids: readonly number[];
  readonly token_type_ids?: readonly number[];
}

type TokenizerClass = new (tokenizer: object, config: object) => PackagedTokenizer;

const packageName: string = "@huggingface/tokenizers";

/** A special token in tokenizer_config.json: its text, alone or with options. */
const specialToken = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
  .catch(undefined);
const configSchema = z.looseObject({ pad_token: specialToken, mask_token: specialToken });
const fileSchema = z.looseObject({
  model: z.looseObject({}),
  padding: z
    .looseObject({ pad_id: z.int().min(0) })
    .nullish()
    .catch(undefined),
});

/** Tokens with the number of the text that each belongs to, 0 or 1. */
export interface TokenSequence {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** A tokenizer, and what it says of its own tokens. */
export interface TextTokenizer {
  /** The tokens of a text or a pair, with those that the tokenizer adds. */
  encode(text: string, pair?: string): TokenSequence;
  /** The tokens of words that follow each other, without added ones. */
  encodeWords(words: readonly string[]): readonly (readonly number[])[];
  /** The tokens that are added before and after a text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Undefined where it has none. */
  readonly padding: number | undefined;
  readonly mask: number | undefined;
  readonly special: readonly number[];
  /** The largest number of a token, and one more. */
  readonly vocabulary: number;
}

/**
 * Opens a tokenizer's file; `tokenizer_config.json` next to it is read too, where there is one.
 *
 * @throws FileFormatError for a file that is no tokenizer, InputOutputError where it cannot be read, UnsupportedError where the
 *   package is not installed.
 */
export async function openTokenizer(path: string): Promise<TextTokenizer> {
  const raw = await readJson(path);
  const file = fileSchema.safeParse(raw);
  if (!file.success) {
    throw new FileFormatError("it is no tokenizer of Hugging Face: it has no model", {
      where: path,
      remedy: "Name the tokenizer.json of the model; tokenizer.save_pretrained writes one.",
    });
  }
  const config = configSchema.safeParse(await readJson(join(dirname(path), "tokenizer_config.json"), true));
  const settings = config.success ? config.data : {};
  const Tokenizer = await loadedClass();
  let tokenizer: PackagedTokenizer;
  try {
    tokenizer = new Tokenizer(Object(raw), settings);
    tokenizer.encode("a", { return_token_type_ids: true });
  } catch (cause) {
    throw new FileFormatError(
      `the tokenizer cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        where: path,
        remedy: "Save it again with tokenizer.save_pretrained.",
        cause,
      },
    );
  }
  const idOf = (...names: readonly (string | null | undefined)[]) =>
    names.map((name) => (name == null ? undefined : tokenizer.token_to_id(name))).find((id) => id !== undefined);
  const own = config.success ? config.data : undefined;
  const plain = (text: string) =>
    tokenizer.encode(text, { add_special_tokens: false, return_token_type_ids: true }).ids;
  const inner = plain("a");
  const whole = tokenizer.encode("a", { return_token_type_ids: true }).ids;
  const start = whole.findIndex((_, i) => inner.every((id, k) => whole[i + k] === id));
  const special = [...tokenizer.get_added_tokens_decoder()].flatMap(([id, token]) =>
    token.special === true ? [id] : [],
  );
  const joins = joinOf(plain);
  return {
    encode(text, pair) {
      const { ids, token_type_ids: types } = tokenizer.encode(text, {
        return_token_type_ids: true,
        ...(pair === undefined ? {} : { text_pair: pair }),
      });
      return { ids, types: types ?? ids.map(() => 0) };
    },
    encodeWords: (words) => words.map((word, i) => plain(i === 0 ? word : joins + word)),
    before: start < 0 ? [] : whole.slice(0, start),
    after: start < 0 ? [] : whole.slice(start + inner.length),
    padding: file.data.padding?.pad_id ?? idOf(own?.pad_token, "[PAD]", "<pad>"),
    mask: idOf(own?.mask_token, "[MASK]", "<mask>"),
    special,
    vocabulary: largestOf(tokenizer.get_vocab(true)) + 1,
  };
}

function largestOf(vocabulary: ReadonlyMap<string, number>): number {
  let largest = -1;
  for (const id of vocabulary.values()) if (id > largest) largest = id;
  return largest;
}

/** What a word that follows another begins with, so that the words give the tokens of the whole text. */
function joinOf(plain: (text: string) => readonly number[]): "" | " " {
  const whole = plain("a b").join();
  return whole === [...plain("a"), ...plain("b")].join() ? "" : " ";
}

async function loadedClass(): Promise<TokenizerClass> {
  const loaded: unknown = await import(packageName).catch((cause: unknown) => {
    throw new UnsupportedError(
      "texts are cut into tokens by the package @huggingface/tokenizers, which is not installed",
      {
        remedy: "Install it: npm install @huggingface/tokenizers. Or give the tokens as .npz arrays.",
        cause,
      },
    );
  });
  if (hasTokenizer(loaded)) return loaded.Tokenizer;
  throw new UnsupportedError("the package @huggingface/tokenizers that is installed has no Tokenizer", {
    remedy: "Install the version that subbyte names in its package.json.",
  });
}

function hasTokenizer(loaded: unknown): loaded is { readonly Tokenizer: TokenizerClass } {
  return (
    typeof loaded === "object" && loaded !== null && "Tokenizer" in loaded && typeof loaded.Tokenizer === "function"
  );
}

/** @param isOptional Whether there may be no such file: then an empty object stands for it. */
async function readJson(path: string, isOptional = false): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (isOptional) return {};
    const { reason, remedy } = describeSystemError(cause);
    throw new InputOutputError(`the tokenizer cannot be read: ${reason}`, {
      where: path,
      ...defined({ remedy }),
      cause,
    });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FileFormatError("it is no JSON", { where: path, cause });
  }
}
