/** A tokenizer.json of a few words, as the library `tokenizers` writes that of a BERT; and one of bytes, as of a GPT-2. */

const words = [
  "good",
  "bad",
  "film",
  "the",
  "was",
  "a",
  "play",
  "##s",
  "##ing",
  "anna",
  "went",
  "to",
  "paris",
  ".",
  "!",
];
const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/** The number of a word in {@link wordPieceTokenizer}. */
export function tokenOf(word: string): number {
  return [...specials, ...words].indexOf(word);
}

export const wordPieceVocabulary: number = specials.length + words.length;

const added = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** WordPiece in lower case, with [CLS] and [SEP] around a text. */
export function wordPieceTokenizer(): string {
  const piece = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const text = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map(added),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0)],
      pair: [piece("[CLS]", 0), text("A", 0), piece("[SEP]", 0), text("B", 1), piece("[SEP]", 1)],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [tokenOf(token)], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries([...specials, ...words].map((word, id) => [word, id])),
    },
  });
}

/** BPE over bytes without any token of its own; a space belongs to the word behind it. */
export function byteTokenizer(): string {
  const vocabulary = ["a", "b", "c", "Ġ", "Ġa", "ab", "Ġab"];
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
      merges: [
        ["Ġ", "a"],
        ["a", "b"],
        ["Ġa", "b"],
      ],
    },
  });
}

/** Whether the package that executes tokenizers is there; a checkout that was not installed again since it came may lack it. */
export function hasTokenizers(): boolean {
  try {
    import.meta.resolve("@huggingface/tokenizers");
    return true;
  } catch {
    return false;
  }
}
