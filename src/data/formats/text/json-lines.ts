/** JSON lines: one object on each line, checked as it is read; errors name the file and the line. */
import { z } from "zod";
import { FileFormatError } from "../../../errors.ts";
import { readTextLimited } from "../../../io/read-limited.ts";

const label = z.union([z.string(), z.number(), z.boolean()]);

const recordSchema = z.object({
  text: z.string().optional(),
  /** The second text of a pair. */
  pair: z.string().optional(),
  label: label.optional(),
  /** Words, each with its tag. */
  tokens: z.array(z.string()).optional(),
  tags: z.array(z.union([z.string(), z.int()])).optional(),
});

/** One line: a text with its label, or words with their tags. */
export type TextRecord = Readonly<z.output<typeof recordSchema>> & {
  /** Counted from 1. */
  readonly line: number;
};

/** A file of JSON lines may have no more bytes than this. */
const mostBytes = 2 ** 29;

/**
 * Reads the records of a file.
 *
 * @throws FileFormatError naming file and line of what is no object with a text or with words, or whose tags are not as many as its
 *   words; InputOutputError where the file cannot be read.
 */
export async function readJsonLines(path: string): Promise<readonly TextRecord[]> {
  const lines = (await readTextLimited(path, mostBytes)).replace(/^\uFEFF/, "").split(/\r?\n/);
  while (lines.at(-1)?.trim() === "") lines.pop();
  if (lines.length === 0) throw new FileFormatError("there are no lines in it", { where: path });
  return lines.map((text, index) => recordOf(text, path, index + 1));
}

function recordOf(text: string, path: string, line: number): TextRecord {
  const where = `${path}, line ${line}`;
  const remedy = 'Write one object on each line: {"text": "…", "label": "…"} or {"tokens": ["…"], "tags": ["…"]}.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const what = text.trim() === "" ? "the line is empty" : "the line is no JSON";
    throw new FileFormatError(what, { where, remedy, cause });
  }
  const parsed = recordSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = issue?.path.join(".") ?? "";
    throw new FileFormatError(`${key === "" ? "the line" : key}: ${issue?.message ?? "not as expected"}`, {
      where,
      remedy,
    });
  }
  const { text: own, tokens, tags } = parsed.data;
  if ((own === undefined) === (tokens === undefined)) {
    throw new FileFormatError(
      own === undefined ? "there is neither text nor tokens" : "there are both text and tokens",
      {
        where,
        remedy,
      },
    );
  }
  if (tags !== undefined && tags.length !== tokens?.length) {
    throw new FileFormatError(`there are ${tags.length} tags for ${tokens?.length ?? 0} tokens`, {
      where,
      remedy: "Give a tag for each token.",
    });
  }
  return { ...parsed.data, line };
}
