/** Odd files and what Python's readers make of them; made by scripts/odd-files/. */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { allocateBatch } from "../../../src/data/dataset/dataset.ts";
import type { OpenedData } from "../../../src/data/dataset/open-dataset.ts";
import { SubbyteError } from "../../../src/errors.ts";

const bytes = z.string().transform(unpacked);
const numbers = z
  .array(z.union([z.number(), z.string()]))
  .transform((data) =>
    data.map((value) => (typeof value === "number" ? value : Number(value.replace("inf", "Infinity")))),
  );
const values = z.union([
  z.object({ shape: z.array(z.number()), data: numbers }),
  z
    .object({ shape: z.array(z.number()), bytes })
    .transform((found) => ({ shape: found.shape, data: [...found.bytes] })),
]);

/** The answer of a Python reader: numbers, or the name of its exception. */
export const answer = z.union([
  z.object({ values }).transform((found) => found.values),
  z.object({ error: z.string() }),
]);

/** Values in C order, or a refusal. */
export type Answer = z.infer<typeof answer>;

/** Reads the cases of a format, each with the answers of `readers`. */
export function oddCases<T extends z.ZodRawShape>(format: string, answers: T) {
  const text = readFileSync(new URL(`${format}.json`, import.meta.url), "utf8");
  const one = z.object({ name: z.string(), files: z.record(z.string(), z.string()), ...answers });
  return z.object({ cases: z.array(one) }).parse(JSON.parse(text)).cases;
}

/** Bytes as the generators write them: after a colon packed by gzip. */
function unpacked(text: string): Uint8Array {
  return text.startsWith(":") ? gunzipSync(Buffer.from(text.slice(1), "base64")) : Buffer.from(text, "base64");
}

/** The bytes of the files of a case. */
export function filesOf(files: Readonly<Record<string, string>>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [name, unpacked(text)]));
}

/**
 * How an opened data set differs from a Python reader's answer: undefined where the values, or the refusals, are the same.
 *
 * @param labels The targets of all samples, where they are compared.
 */
export async function differenceFrom(
  expected: Answer,
  opened: Promise<OpenedData>,
  labels?: Answer,
): Promise<string | undefined> {
  try {
    const { train } = await opened;
    if ("error" in expected) return "read, though Python refuses it";
    const batch = allocateBatch(train, train.count);
    const all = Int32Array.from({ length: train.count }, (_, i) => i);
    await train.prefetch?.(all);
    train.readBatch(all, batch);
    const wrong = expected.data.findIndex((value, i) => batch.samples[i] !== Math.fround(value));
    if (batch.samples.length !== expected.data.length) return "has another number of values";
    if (wrong >= 0) return "has other values";
    const targets =
      labels === undefined || "error" in labels ? Array.from(batch.targets) : labels.data.map(Math.fround);
    return isDeepStrictEqual(targets, Array.from(batch.targets)) ? undefined : "has other labels";
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    return "error" in expected ? undefined : `refused: ${error.message}`;
  }
}
