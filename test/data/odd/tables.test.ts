/** Unusual tables: the numbers of pandas, or a difference with its reason (docs/data.md). */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { answer, differenceFrom, filesOf, oddCases } from "./cases.ts";

const cases = oddCases("tables", { open: z.string(), python: answer });

/** The cases that end in another way than in pandas, and why. */
const differences: Readonly<Record<string, string>> = {
  // pandas knows gzip by the name, here it is known by the first bytes.
  "gz that is text": "read, though Python refuses it",
  "gz without its ending": "read, though Python refuses it",
  // One packing of tables is enough; the error says what to do.
  bz2: "refused: t.csv.bz2 is an archive, which is not read",
  xz: "refused: t.csv.xz is an archive, which is not read",
  zip: "refused: t.csv.zip is an archive, which is not read",
  "JSON lines": "refused: texts need a model's file that reads tokens",
  JSON: "refused: t.json is a JSON file, which is not read",
};

test.each(cases)("$name", async ({ name, files, open, python }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const opened = openDataset(join(folder, open), { validationSplit: 0, target: null });
  expect(await differenceFrom(python, opened)).toEqual(differences[name]);
});
