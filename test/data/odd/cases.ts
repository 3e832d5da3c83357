/** Odd files and what Python's readers make of them; made by scripts/odd-files/. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const values = z.object({
  shape: z.array(z.number()),
  data: z.array(z.union([z.number(), z.string()])),
});

/** The answer of a Python reader: numbers, or the name of its exception. */
export const answer = z.union([
  z.object({ values: values }).transform(({ values: found }) => ({
    shape: found.shape,
    data: found.data.map((value) => (typeof value === "number" ? value : Number(value.replace("inf", "Infinity")))),
  })),
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

/** The bytes of the files of a case. */
export function filesOf(files: Readonly<Record<string, string>>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text, "base64")]));
}
